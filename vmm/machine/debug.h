// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "checkpoint/state/vcpu_state.h"
#include "vmm/base/event_fd.h"

namespace tintype {

/// What makes a CPU stop: an instruction that was put in the place of the guest's, or a debug register (Intel SDM
/// volume 3, 18.2). There is no register that knows reads alone.
enum class BreakKind : std::uint8_t { kSoftware, kHardware, kWrite, kAccess };

/// Why a machine that a debugger let run stands still again.
struct DebugStop {
  enum class Why : std::uint8_t { kAsked, kStep, kSoftware, kHardware, kWatch, kEnded };
  Why why = Why::kAsked;
  std::size_t cpu = 0;                  ///< which met it
  BreakKind watch = BreakKind::kWrite;  ///< of kWatch
  std::uint64_t address = 0;            ///< of kWatch: what was touched
  int exit_code = 0;                    ///< of kEnded
};

/// What a CPU does when the debugger lets the machine run.
enum class CpuAction : std::uint8_t { kStay, kRun, kStep };

/// A machine as a debugger has it: one at a time, on one thread. Addresses are linear, and go through the page tables
/// of the CPU. While it stands still, memory is the guest's own: no breakpoint lies in it.
class MachineDebug {
 public:
  virtual ~MachineDebug() = default;

  /// Stops the machine. `bell` is rung when take_stop() may have something; it must live until detach().
  virtual void attach(EventFd& bell) = 0;
  /// Forgets all breakpoints, and lets the machine run on as though nothing had been.
  virtual void detach() noexcept = 0;

  virtual std::size_t cpus() const = 0;
  // While it stands still. What the host refuses throws std::system_error.
  virtual VcpuRegisters registers(std::size_t cpu) const = 0;
  virtual void set_registers(std::size_t cpu, const VcpuRegisters& registers) = 0;
  /// As many bytes as there are.
  virtual std::vector<std::uint8_t> read(std::size_t cpu, std::uint64_t address, std::size_t bytes) const = 0;
  /// All or nothing: false where some of it is not memory.
  virtual bool write(std::size_t cpu, std::uint64_t address, std::span<const std::uint8_t> bytes) = 0;
  /// False where it cannot be: no memory there, no debug register left. Error where the host would never stop there.
  virtual bool add(std::size_t cpu, BreakKind kind, std::uint64_t address, std::uint64_t length) = 0;
  virtual void remove(BreakKind kind, std::uint64_t address, std::uint64_t length) = 0;

  /// One action for each CPU.
  virtual void run(std::span<const CpuAction> actions) = 0;
  /// Rings the bell soon: the machine stands still.
  virtual void interrupt() = 0;
  /// Why it stands still, once; nothing while it runs.
  virtual std::optional<DebugStop> take_stop() = 0;
};

}  // namespace tintype

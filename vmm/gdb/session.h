// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/gdb/registers.h"
#include "vmm/machine/debug.h"

namespace tintype {

/// A machine that a debugger looks at. CPUs are numbered from 0; gdb calls them threads, from 1.
class DebugSubject {
 public:
  virtual ~DebugSubject() = default;
  virtual std::size_t cpus() const = 0;
  virtual const VcpuRegisters& registers(std::size_t cpu) const = 0;
  /// At a linear address, as that CPU sees it: as many bytes as there are.
  virtual std::vector<std::uint8_t> read(std::size_t cpu, std::uint64_t address, std::size_t bytes) const = 0;
  /// What `info threads` says of it.
  virtual std::string describe(std::size_t cpu) const = 0;

  /// Whether it runs, and can be changed: the rest is for such a one.
  virtual bool is_live() const { return false; }
  /// How its registers are shown, from now on: a description cannot change under gdb.
  virtual GdbArchitecture architecture() const { return architecture_of(registers(0)); }
  // False where it cannot be.
  virtual bool set_registers(std::size_t /*cpu*/, const VcpuRegisters& /*registers*/) { return false; }
  virtual bool write(std::size_t /*cpu*/, std::uint64_t /*address*/, std::span<const std::uint8_t> /*bytes*/) {
    return false;
  }
  virtual bool add_break(std::size_t /*cpu*/, BreakKind /*kind*/, std::uint64_t /*address*/, std::uint64_t /*length*/) {
    return false;
  }
  virtual void remove_break(BreakKind /*kind*/, std::uint64_t /*address*/, std::uint64_t /*length*/) {}
  virtual void run(std::span<const CpuAction> /*actions*/) {}
  virtual void interrupt() {}
  virtual void kill() {}
  /// What `monitor COMMAND` is answered with: lines.
  virtual std::string monitor(const std::string& /*command*/) {
    return "This is a checkpoint at rest: registers and memory can be looked at, and nothing runs.\n";
  }
};

/// One gdb that looks at a machine: the commands of the remote protocol (gdb manual, appendix E.2), each with its
/// answer. What would change a machine at rest is refused. Whatever comes is answered; what is not known, with nothing,
/// as the protocol has it.
class GdbSession {
 public:
  /// The subject must outlive it.
  explicit GdbSession(DebugSubject& subject);

  /// The answer's data; nothing is sent for `std::nullopt`.
  std::optional<std::string> answer(std::string_view command);
  /// It stands still: the answer that gdb waits for since it let the machine run. Nothing where it does not wait.
  std::optional<std::string> stopped(const DebugStop& stop);
  /// Ctrl-C.
  void interrupt();
  /// gdb has detached, or has said that it is done.
  bool over() const noexcept { return over_; }
  /// From now on neither side says `+`.
  bool without_acknowledgement() const noexcept { return no_ack_; }

 private:
  std::string query(std::string_view command);
  std::string transfer(std::string_view command) const;
  std::string monitor(std::string_view hex);
  std::string read_memory(std::string_view arguments) const;
  std::string read_register(std::string_view number) const;
  std::string select(std::string_view arguments);
  std::string stop_reply() const;
  std::string thread_info(std::string_view thread) const;
  // Of a machine that runs.
  std::optional<std::string> change(std::string_view command);
  std::string write_registers(std::string_view hex);
  std::string write_register(std::string_view arguments);
  std::string write_memory(std::string_view arguments, bool binary);
  std::string change_break(std::string_view arguments, bool add);
  std::string add_break(BreakKind kind, std::uint64_t address, std::uint64_t length);
  std::optional<std::string> resume(std::string_view command);
  std::optional<std::string> resume_threads(std::string_view actions);
  std::optional<std::string> run(const std::vector<CpuAction>& actions);

  DebugSubject& subject_;
  const GdbArchitecture architecture_;
  std::size_t cpu_ = 0;
  bool over_ = false, no_ack_ = false;
  bool runs_ = false;  ///< gdb waits for it to stop
};

}  // namespace tintype

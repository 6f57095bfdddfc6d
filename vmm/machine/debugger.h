// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "vmm/machine/breakpoints.h"
#include "vmm/machine/debug.h"
#include "vmm/machine/processors.h"

namespace tintype {

struct TrappedCpu;

/// A debugger's hold on a machine: breakpoints, steps, and why it stands still.
///
/// Three kinds of threads: the debugger's own, vCPUs' (before_run(), take_exit()), and whoever pauses the machine
/// (withdraw()). What vCPUs do to memory and to KVM is done on their own threads, on their way into the guest: whoever
/// pauses and resumes the machine for a checkpoint never writes to memory afterwards, and so never waits for a place in
/// the capture area that it is itself to empty.
class Debugger final : public MachineDebug {
 public:
  /// How the machine is stopped and let go. `then` is called with all vCPUs parked.
  struct Means {
    std::function<void(const std::function<void()>&then)> hold, release;
  };
  Debugger(GuestMemory& memory, Processors& processors, Means means);

  // For the machine.
  /// Whether nobody else may let it run. Any thread.
  bool holds() const noexcept { return holds_ || stopping_; }
  /// Before it starts: it stands at its first instruction until a debugger has come, and lets it run.
  void hold_at_start() noexcept { holds_ = true; }
  /// All vCPUs are parked: memory becomes the guest's own, until they run again.
  void withdraw() noexcept;
  void ended(int exit_code) noexcept;

  // For vCPUs, on their threads.
  void before_run(VcpuThread& thread);
  /// An exit that a debugger has asked for. False where it is another.
  bool take_exit(VcpuThread& thread);

  void attach(EventFd& bell) override;
  void detach() noexcept override;
  std::size_t cpus() const override { return steps_.size(); }
  VcpuRegisters registers(std::size_t cpu) const override;
  void set_registers(std::size_t cpu, const VcpuRegisters& registers) override;
  std::vector<std::uint8_t> read(std::size_t cpu, std::uint64_t address, std::size_t bytes) const override;
  bool write(std::size_t cpu, std::uint64_t address, std::span<const std::uint8_t> bytes) override;
  bool add(std::size_t cpu, BreakKind kind, std::uint64_t address, std::uint64_t length) override;
  void remove(BreakKind kind, std::uint64_t address, std::uint64_t length) override;
  void run(std::span<const CpuAction> actions) override;
  void interrupt() override;
  std::optional<DebugStop> take_stop() override;

 private:
  struct Software {
    std::uint64_t address = 0;
    Gpa at;
  };
  enum class Taken : std::uint8_t { kStop, kNothing, kOther };  ///< what an exit was: nothing is to be told of it

  std::optional<Gpa> place_of(std::size_t cpu, std::uint64_t address) const;
  bool add_hardware(std::size_t cpu, BreakKind kind, std::uint64_t address, std::uint64_t length);
  void refuse_what_never_stops(std::size_t cpu, BreakKind kind, std::uint64_t address) const;
  void forget_all() noexcept;
  void begin_step(std::size_t cpu);
  // With the mutex.
  kvm_guest_debug wanted(KvmVcpu& vcpu) const;
  void apply(KvmVcpu& vcpu);
  Taken judge(KvmVcpu& vcpu, DebugStop& stop);
  Taken judge_debug_exception(KvmVcpu& vcpu, DebugStop& stop);
  Taken judge_trap(KvmVcpu& vcpu, const TrappedCpu& trapped, DebugStop& stop);
  Taken judge_emulation(KvmVcpu& vcpu, DebugStop& stop);
  Taken give_to_guest(KvmVcpu& vcpu, std::uint32_t how);
  bool is_software_place(const kvm_sregs& sregs, std::uint64_t linear) const;
  void leave_no_trap_flag(KvmVcpu& vcpu);
  void ring() noexcept;

  GuestMemory& memory_;
  Processors& processors_;
  const Means means_;
  const bool has_hardware_;  ///< so that KVM stops wherever it is asked to
  const std::uint32_t block_interrupts_;

  std::atomic<bool> holds_ = false;     ///< it stands still for the debugger
  std::atomic<bool> stopping_ = false;  ///< a vCPU has met something, and the debugger has not yet heard of it
  std::atomic<bool> active_ = false;    ///< vCPUs have something to do on their way into the guest

  mutable std::mutex mutex_;  // guards the rest
  EventFd* bell_ = nullptr;
  SoftwareBreakpoints software_;
  std::vector<Software> software_places_;
  DebugRegisters hardware_;
  std::vector<bool> steps_;                               ///< by vCPU
  std::vector<std::optional<std::uint64_t>> steps_from_;  ///< RIP, of those that step in ring 3
  std::vector<bool> passes_;                              ///< it goes past the guest's door, for the guest's own sake
  std::vector<std::optional<kvm_guest_debug>> applied_;   ///< what KVM has been told
  std::deque<DebugStop> stops_;
  bool running_ = false, asked_ = false;
  std::optional<int> exit_code_;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/state/vcpu_state.h"
#include "devices/backplane.h"
#include "vmm/boot/entry.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/machine/pause.h"
#include "vmm/machine/vcpu_thread.h"

namespace tintype {

/// All CPUs of a machine: their vCPUs, their threads, and the gate at which they park.
class Processors {
 public:
  Processors(const KvmSystem& system, KvmVm& vm, TscGroup& tscs, unsigned count, const Backplane& backplane,
             VcpuEvents& events, bool traced);

  /// For a machine that boots: CPUID for all, the kernel's entry state for the first; the others wait for INIT and
  /// SIPI.
  void prepare_boot(const EntryState& entry);
  std::vector<Stateful*> states();

  void start();
  /// Returns when all are parked, with no exit half-done. Not on a vCPU's thread.
  void pause();
  void resume();
  /// Makes them park soon; pause() waits for it. Any thread, a vCPU's own too.
  void ask_to_park() noexcept;
  /// Some wait for memory that cannot be had: the others are made to park soon, and pause() waits for none. Those that
  /// `stands`, by their thread's id, are left alone: called back, they would only try again, without end. Any thread.
  void stall(const std::function<bool(std::uint32_t thread)>& stands) noexcept;
  void end_stall() noexcept { gate_.stall(false); }
  /// Tells the guests' watchdogs that time was taken from them. With all parked, or before they start.
  void announce_pause();
  /// What all of them are, and back to it. With all parked.
  using Remembered = std::vector<std::shared_ptr<const VcpuStateV1>>;
  Remembered remember() const;
  void go_back_to(const Remembered& remembered);
  /// The same of saved states, which were checked, by their names. Throws StateError where their CPUs are other ones
  /// than these, which cannot be changed once they have run.
  Remembered remembered_in(const std::function<const StateRecord&(const std::string& name)>& saved) const;
  /// Makes all threads end soon, parked or not. Any thread.
  void request_end() noexcept;
  void join();

  /// How often they were let go, or put back: what was seen between two equal numbers belongs together.
  std::uint64_t moves() const noexcept { return moves_; }

  /// Exits to user space by exit_name(); those that there were.
  std::map<std::string, std::uint64_t> exits_by_reason() const;
  /// That all of them were given, as KVM counts; nothing where it does not.
  std::optional<std::uint64_t> interrupts() const noexcept;
  /// Of all of them, that KVM mended; nothing where it does not count.
  std::optional<std::uint64_t> page_faults() const noexcept;
  std::size_t count() const noexcept { return vcpus_.size(); }
  const KvmVcpu& vcpu(std::size_t index) const noexcept { return *vcpus_[index]; }
  VcpuThread& thread(std::size_t index) noexcept { return *threads_[index]; }
  /// Which of KVM_GUESTDBG_* there are; 0 where KVM does not tell.
  std::uint32_t debug_flags() const noexcept { return debug_flags_; }

 private:
  std::vector<kvm_cpuid_entry2> supported_;
  bool tsc_deadline_timer_;
  std::uint32_t debug_flags_;
  std::vector<std::unique_ptr<KvmVcpu>> vcpus_;
  std::vector<std::unique_ptr<VcpuState>> states_;
  std::atomic<std::uint64_t> moves_ = 0;
  PauseGate gate_;
  std::vector<std::unique_ptr<VcpuThread>> threads_;  // last: they use all of the above
};

}  // namespace tintype

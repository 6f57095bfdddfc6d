// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include "checkpoint/state/vcpu_state.h"
#include "devices/bus.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/machine/pause.h"

namespace tintype {

class VcpuThread;

/// What a vCPU thread tells the machine. Called on the vCPU's thread.
class VcpuEvents {
 public:
  virtual ~VcpuEvents() = default;
  /// The guest crashed, or KVM cannot go on. `why` is one line.
  virtual void on_crash(VcpuThread& thread, const std::string& why) noexcept = 0;
  /// KVM reports a shutdown or reset by its own means (KVM_EXIT_SYSTEM_EVENT).
  virtual void on_system_event(std::uint32_t type) noexcept = 0;
  /// On its way into the guest after it was parked, or called back. May throw.
  virtual void before_run(VcpuThread& /*thread*/) {}
  /// An exit that may be a debugger's; false where it is not. May throw.
  virtual bool on_debug_exit(VcpuThread& /*thread*/) { return false; }
  /// Every exit, before it is handled, or where it reads, afterwards; called only where exits are traced.
  virtual void on_trace(VcpuThread& thread) noexcept = 0;
};

/// One vCPU and the thread that runs it: KVM_RUN, hand the exit to the bus, again, until told to park or to end.
class VcpuThread {
 public:
  /// `state`: the vCPU's, which is told when the vCPU is parked.
  VcpuThread(KvmVcpu& vcpu, VcpuState& state, const Bus& ports, const Bus& mmio, PauseGate& gate, VcpuEvents& events,
             bool traced);
  ~VcpuThread();

  void start();
  /// Makes the thread look at the gate and at the end flag soon, whatever it is doing. Any thread; never blocks.
  void kick() noexcept;
  /// It has been kicked, and the gate is closed: until the thread has been let go again it comes before all others
  /// (hurry()).
  void hurry_to_park() noexcept;
  /// Asks the thread to end, kick() included. Any thread, the vCPU's own too, also while another one joins.
  void request_end() noexcept;
  /// Waits for the thread's end. One thread at a time, and not the vCPU's own.
  void join();

  /// Whether it stays at the gate, open or not: a debugger lets others run. With all parked.
  void set_stays(bool stays) noexcept { stays_ = stays; }

  KvmVcpu& vcpu() noexcept { return vcpu_; }
  /// As gettid(2) has it; 0 before it runs.
  std::uint32_t thread_id() const noexcept { return thread_id_.load(); }
  /// Exits to user space since it was made, of this KVM_EXIT_*.
  std::uint64_t exits(std::uint32_t reason) const noexcept { return exits_[reason].load(std::memory_order_relaxed); }
  static constexpr std::uint32_t kExitReasons = 64;  ///< those beyond count with the last

  /// Installs the handler of the signal that kicks. Once a process, before the first start().
  static void install_kick_signal();

 private:
  void main() noexcept;
  void expect_signals(bool yes) noexcept;
  void run_loop();
  bool run_guest();
  bool get_ready_to_park();
  bool finish_exit();
  bool take_in_ticks();
  bool go_to_the_door();
  void forget_kick() noexcept;
  void end_hurry() noexcept;
  /// False where the vCPU must not run again.
  bool handle_exit();
  bool answer_exit(kvm_run& run);
  void handle_port(kvm_run& run) noexcept;
  void handle_mmio(kvm_run& run) noexcept;
  bool crash(const std::string& why) noexcept;

  KvmVcpu& vcpu_;
  VcpuState& state_;
  const Bus& ports_;
  const Bus& mmio_;
  PauseGate& gate_;
  VcpuEvents& events_;
  const bool traced_;
  std::atomic<bool> end_ = false;
  std::atomic<bool> stays_ = false;
  std::atomic<std::uint32_t> thread_id_ = 0;
  std::array<std::atomic<std::uint64_t>, kExitReasons> exits_{};
  std::mutex signal_mutex_;
  // guarded by signal_mutex_:
  std::optional<pthread_t> signalled_;  // whom kick() signals, while it lives
  bool hurries_ = false;
  std::thread thread_;  // start() and join() only
};

}  // namespace tintype

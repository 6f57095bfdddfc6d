// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/vcpu_thread.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "vmm/base/error.h"
#include "vmm/base/thread.h"
#include "vmm/kvm/capabilities.h"

namespace tintype {

namespace {

constexpr int kKickSignal = SIGUSR1;

// The vCPU that this thread runs: a kick that arrives between the last look at the flags and KVM_RUN must still be
// seen.
thread_local KvmVcpu* running_vcpu = nullptr;

void on_kick(int) noexcept {
  if (running_vcpu == nullptr) return;
  running_vcpu->set_immediate_exit(true);
  call_back_this_thread(true);
}

sigset_t kick_signal() noexcept {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, kKickSignal);
  return set;
}

void unblock_kick_signal() noexcept {
  const sigset_t set = kick_signal();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

/// While it lives, a kick waits for this thread; there is one from the beginning.
class WaitingKick {
 public:
  WaitingKick() noexcept {
    const sigset_t set = kick_signal();
    ::pthread_sigmask(SIG_BLOCK, &set, &before_);
    ::pthread_kill(::pthread_self(), kKickSignal);
  }
  ~WaitingKick() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  WaitingKick(const WaitingKick&) = delete;
  WaitingKick& operator=(const WaitingKick&) = delete;

  const sigset_t& blocked_before() const noexcept { return before_; }

 private:
  sigset_t before_;
};

/// Where all kernel code is emulated, that is how a stock kernel ends.
const char* emulator_hint() {
  if (has_hardware_virtualization()) return "";
  return "; this computer's KVM has neither VMX nor SVM and emulates kernels, which a stock Linux does not survive: "
         "boot it in the rig (tools/rig), or on a computer that has one of them";
}

std::string internal_error_text(const kvm_run& run) {
  switch (run.internal.suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
      return std::string("KVM cannot emulate the instruction (emulation failure)") + emulator_hint();
    case KVM_INTERNAL_ERROR_SIMUL_EX:
      return "KVM met an exception while it delivered another";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
      return "KVM met an exit while it delivered an event";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
      return "KVM met an exit that it does not know";
    default:
      return fmt::format("KVM reports internal error {}", run.internal.suberror);
  }
}

/// What it reads is known when a device has answered.
bool waits_for_a_value(const kvm_run& run) {
  return (run.exit_reason == KVM_EXIT_IO && run.io.direction == KVM_EXIT_IO_IN) ||
         (run.exit_reason == KVM_EXIT_MMIO && run.mmio.is_write == 0);
}

}  // namespace

void VcpuThread::install_kick_signal() {
  struct sigaction action {};
  action.sa_handler = on_kick;  // no SA_RESTART: KVM_RUN must return
  if (::sigaction(kKickSignal, &action, nullptr) != 0) throw_errno("sigaction for the signal that kicks vCPUs");
}

VcpuThread::VcpuThread(KvmVcpu& vcpu, VcpuState& state, const Bus& ports, const Bus& mmio, PauseGate& gate,
                       VcpuEvents& events, bool traced)
    : vcpu_(vcpu), state_(state), ports_(ports), mmio_(mmio), gate_(gate), events_(events), traced_(traced) {}

VcpuThread::~VcpuThread() {
  request_end();
  join();
}

void VcpuThread::start() {
  thread_ = std::thread([this] { main(); });
}

void VcpuThread::kick() noexcept {
  vcpu_.set_immediate_exit(true);
  const std::lock_guard lock(signal_mutex_);
  if (signalled_) ::pthread_kill(*signalled_, kKickSignal);
}

void VcpuThread::hurry_to_park() noexcept {
  const std::lock_guard lock(signal_mutex_);
  if (signalled_ && !std::exchange(hurries_, true)) hurry(*signalled_, true);
}

void VcpuThread::end_hurry() noexcept {
  const std::lock_guard lock(signal_mutex_);
  if (std::exchange(hurries_, false)) hurry(::pthread_self(), false);
}

void VcpuThread::request_end() noexcept {
  end_.store(true, std::memory_order_seq_cst);
  kick();
}

void VcpuThread::join() {
  if (thread_.joinable()) thread_.join();
}

// A thread that has ended must not be signalled: it may have been joined, and its handle be another's.
void VcpuThread::expect_signals(bool yes) noexcept {
  const std::lock_guard lock(signal_mutex_);
  signalled_ = yes ? std::optional(::pthread_self()) : std::nullopt;
}

void VcpuThread::main() noexcept {
  name_this_thread(fmt::format("vcpu{}", vcpu_.id()));
  block_signals_in_this_thread();
  thread_id_ = static_cast<std::uint32_t>(::gettid());
  running_vcpu = &vcpu_;
  unblock_kick_signal();
  expect_signals(true);
  try {
    run_loop();
  } catch (const std::exception& error) {
    crash(error.what());
  }
  expect_signals(false);
  running_vcpu = nullptr;
  gate_.leave_for_good();
}

// A kick is forgotten first, and the flags are looked at afterwards: whoever kicks sets its flag first. While the
// thread is parked, and when it is told to end, the vCPU is not touched: whoever paused the machine may be reading it.
void VcpuThread::run_loop() {
  while (!end_.load(std::memory_order_seq_cst)) {
    if (gate_.closed()) {
      if (!get_ready_to_park()) return;
      gate_.park();
    } else {
      end_hurry();
      if (stays_) {
        gate_.wait_until_closed();
      } else if (!run_guest()) {
        return;
      }
    }
    forget_kick();
  }
}

/// Until a kick: true; false where the vCPU must not run again.
bool VcpuThread::run_guest() {
  const KvmVcpu::Claim claim(vcpu_);
  state_.unparked();
  events_.before_run(*this);
  while (vcpu_.run() != KvmVcpu::RunResult::kInterrupted) {
    if (!handle_exit()) return false;
  }
  return true;
}

bool VcpuThread::get_ready_to_park() {
  const KvmVcpu::Claim claim(vcpu_);
  return finish_exit() && take_in_ticks();
}

// The data of a port or MMIO read reaches the guest's registers only at the next KVM_RUN, and one instruction may make
// several exits. With immediate_exit set, KVM finishes what is pending and returns without running the guest.
bool VcpuThread::finish_exit() {
  for (;;) {
    vcpu_.set_immediate_exit(true);
    if (vcpu_.run() == KvmVcpu::RunResult::kInterrupted) return true;
    if (!handle_exit()) return false;
  }
}

// A tick of the local APIC's periodic timer that came outside of the guest is counted by KVM where nobody sees it, and
// reaches the APIC on the way into the guest: so there the vCPU goes, and turns back. Where that changed nothing, the
// look before it had held all ticks; a fast timer's second tick finds the first one waiting, and changes nothing more.
bool VcpuThread::take_in_ticks() {
  constexpr int kMostLooks = 8;
  ApicLook look = state_.look_at_apic();
  for (int i = 0; i < kMostLooks && ticks_periodically(look.lapic); ++i) {
    if (!go_to_the_door()) return false;
    const ApicLook next = state_.look_at_apic();
    if (same_but_for_time(look.lapic, next.lapic)) break;
    look = next;
  }
  state_.parked(look);
  return true;
}

/// KVM_RUN, with a signal that waits already. The kick that it leaves behind is forgotten with all others.
bool VcpuThread::go_to_the_door() {
  auto result = KvmVcpu::RunResult::kInterrupted;
  {
    const WaitingKick kick;
    do {
      vcpu_.set_immediate_exit(false);
      result = vcpu_.run(kick.blocked_before());
    } while (result == KvmVcpu::RunResult::kInterrupted && vcpu_.immediate_exit());  // another one's kick came first
  }
  return result == KvmVcpu::RunResult::kInterrupted || (handle_exit() && finish_exit());
}

// In this order, so that a kick in between costs an idle turn of the loop; the other way round the guest would run on
// with a thread that counts as called back.
void VcpuThread::forget_kick() noexcept {
  vcpu_.set_immediate_exit(false);
  call_back_this_thread(false);
}

bool VcpuThread::handle_exit() {
  kvm_run& run = vcpu_.shared();
  exits_[std::min(run.exit_reason, kExitReasons - 1)].fetch_add(1, std::memory_order_relaxed);
  if (!traced_) return answer_exit(run);
  const bool reads = waits_for_a_value(run);
  if (!reads) events_.on_trace(*this);
  const bool goes_on = answer_exit(run);
  if (reads) events_.on_trace(*this);
  return goes_on;
}

bool VcpuThread::answer_exit(kvm_run& run) {
  switch (run.exit_reason) {
    case KVM_EXIT_IO:
      handle_port(run);
      return true;
    case KVM_EXIT_MMIO:
      handle_mmio(run);
      return true;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
      return true;
    case KVM_EXIT_SHUTDOWN:
      return crash("triple fault: the guest met a fault while it handled a double fault");
    case KVM_EXIT_SYSTEM_EVENT:
      events_.on_system_event(run.system_event.type);
      return true;
    case KVM_EXIT_DEBUG:
      return events_.on_debug_exit(*this) || crash("KVM stopped for a debugger that there is not");
    case KVM_EXIT_INTERNAL_ERROR:
      if (events_.on_debug_exit(*this)) return true;
      return crash(internal_error_text(run));
    case KVM_EXIT_FAIL_ENTRY:
      return crash(fmt::format("the CPU refuses to enter the guest (hardware reason {:#x})",
                               static_cast<std::uint64_t>(run.fail_entry.hardware_entry_failure_reason)));
    case KVM_EXIT_HLT:
      return crash("the CPU halted for good");
    default:
      return crash(fmt::format("KVM stopped for a reason that this program does not know ({})", run.exit_reason));
  }
}

// One exit may carry several elements of a string instruction, all for the same port.
void VcpuThread::handle_port(kvm_run& run) noexcept {
  auto* data = reinterpret_cast<std::byte*>(&run) + run.io.data_offset;
  for (std::uint32_t i = 0; i < run.io.count; ++i, data += run.io.size) {
    if (run.io.direction == KVM_EXIT_IO_OUT) {
      ports_.write(run.io.port, std::span<const std::byte>(data, run.io.size));
    } else {
      ports_.read(run.io.port, std::span(data, run.io.size));
    }
  }
}

void VcpuThread::handle_mmio(kvm_run& run) noexcept {
  const std::span data(reinterpret_cast<std::byte*>(run.mmio.data), run.mmio.len);
  if (run.mmio.is_write != 0) {
    mmio_.write(run.mmio.phys_addr, data);
  } else {
    mmio_.read(run.mmio.phys_addr, data);
  }
}

bool VcpuThread::crash(const std::string& why) noexcept {
  events_.on_crash(*this, why);
  return false;
}

}  // namespace tintype

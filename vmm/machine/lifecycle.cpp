// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/lifecycle.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <map>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/machine/exit_report.h"
#include "vmm/machine/trace.h"

namespace tintype {

namespace {

MachineEvent event_of(EventKind kind, const std::string& reason) {
  MachineEvent event;
  event.kind = kind;
  event.reason = reason;
  return event;
}

std::vector<ExitCount> most_frequent_first(const std::map<std::string, std::uint64_t>& counts) {
  std::vector<ExitCount> list;
  for (const auto& [name, count] : counts) list.push_back({name, count});
  std::ranges::stable_sort(list, std::ranges::greater{}, &ExitCount::count);
  return list;
}

}  // namespace

Lifecycle::Lifecycle(const MachineConfig& config, FileStart serial_start, VmShell shell)
    : guest_(config, serial_start, guest_requests(), *this, std::move(shell)) {
  debugger_ = std::make_unique<Debugger>(guest_.memory(), guest_.processors(), debugger_means());
  harness_ = make_harness();
}

/// One that never ran has ended, too: nobody need wait for it to run. The guest may ask the harness for things until
/// its CPUs have ended; it does nothing for it from here on.
Lifecycle::~Lifecycle() {
  end({1, "never started", {}});
  harness_->stop();
}

GuestRequests Lifecycle::guest_requests() {
  return {[this](int code) {
            end({code, fmt::format("debug-exit {}", code), {}});
          },
          [this] {
            end({0, "power-off", {}});
          },
          [this] {
            if (panicked_) return;  // on its way to where its policy wants it
            end({0, std::string(kResetReason), {}});
          },
          [this] {
            end({0, "left by Ctrl-A x", {}});
          },
          [this](Pvpanic::Event event) { on_panic(event); },
          [this](std::uint32_t address) { harness_->post(address); }};
}

void Lifecycle::start() {
  const std::lock_guard pause_lock(pause_mutex_);
  {
    const std::lock_guard lock(state_mutex_);
    if (std::exchange(started_, true)) throw Error("the machine runs already");
    state_changed_.notify_all();
  }
  watch_disks();
  leave_suspension();
  announce(EventKind::kStarted);                     // before what the guest does
  if (is_held()) guest_.processors().ask_to_park();  // before its first instruction
  guest_.start();
  if (const auto images = std::exchange(images_, nullptr)) images->keep();
  if (is_held()) park();
  if (!stands_still_.empty()) say_that_it_stands_still(stands_still_.back().second);
}

MachineEnd Lifecycle::wait() {
  MachineEnd how;
  {
    std::unique_lock lock(state_mutex_);
    state_changed_.wait(lock, [this] { return end_.has_value(); });
    how = *end_;
  }
  debugger_->ended(how.exit_code);  // before those go who tell gdb: end() may not have come to it yet
  close();
  MachineEvent ended = event_of(EventKind::kEnded, how.reason);
  ended.exit_code = static_cast<std::uint32_t>(how.exit_code);
  events_.post(std::move(ended));
  return how;
}

// A checkpoint that is under way is finished first: what it copies out is still there, though the vCPUs have gone.
// Where it still waits for memory, it has waited in vain.
void Lifecycle::close() {
  errands_.finish();
  backups_.stop({});
  std::vector<std::shared_ptr<void>> companions;
  {
    const std::lock_guard lock(state_mutex_);
    companions.swap(companions_);
  }
  companions.clear();
  if (guest_.load() != nullptr) guest_.load()->give_up();
  harness_->stop();
  const std::lock_guard checkpoint_lock(checkpoint_mutex_);
  disk_watch_.stop();
  mark_.reset();
  guest_.close();
}

void Lifecycle::end(MachineEnd how) noexcept {
  int exit_code = 0;
  {
    const std::lock_guard lock(state_mutex_);
    if (end_) return;
    if (config().on_failure.fail_on_reset && how.reason == kResetReason) how.exit_code = 1;
    exit_code = how.exit_code;
    end_ = std::move(how);
    state_changed_.notify_all();
  }
  guest_.processors().request_end();
  debugger_->ended(exit_code);
}

bool Lifecycle::has_ended() const {
  const std::lock_guard lock(state_mutex_);
  return end_.has_value();
}

void Lifecycle::pause() { pause_because({}); }

void Lifecycle::pause_because(const std::string& reason) {
  const std::lock_guard pause_lock(pause_mutex_);
  pause_now(reason);
}

void Lifecycle::pause_now(const std::string& reason) {
  {
    const std::lock_guard lock(state_mutex_);
    if (!started_ || end_) throw Error("the machine {} is not running", config().name);
    const bool held = std::exchange(paused_by_user_, true) || !stands_still_.empty();
    if (held || stalls_) return;
  }
  park();
  announce(EventKind::kPaused, reason);
}

void Lifecycle::resume() {
  const std::lock_guard pause_lock(pause_mutex_);
  if (!stands_still_.empty()) throw Error("{} may not run on: {}", config().name, stands_still_.back().second);
  complete_disks_now();
  const bool stalled = stalls();
  if (stalled) retry_load();
  {
    const std::lock_guard lock(state_mutex_);
    if (debugger_->holds() && !paused_by_user_ && !stalled)
      throw Error("{} stands still in a debugger: let it run on there, or detach", config().name);
    if (suspending_) throw Error("the machine {} is being suspended: wait until it is", config().name);
    if (!std::exchange(paused_by_user_, false) && !stalled) return;
  }
  let_disks_go_on();
  if (!stalled) guest_.processors().announce_pause();  // a CPU that waits for memory can be told nothing
  panicked_ = false;
  announce(EventKind::kContinued);
  if (!is_held()) guest_.processors().resume();
  if (stalls()) stall();  // it came again before the gate was open
}

void Lifecycle::stop(bool force, std::chrono::milliseconds patience) {
  std::unique_lock lock(state_mutex_);
  const std::string how = force || !started_ || end_ ? "stopped" : ask_to_power_off(lock, patience);
  if (force && checkpoint_running_) checkpointer_.cancel();
  lock.unlock();
  end({0, how, {}});  // where it has not ended by itself
}

std::string Lifecycle::ask_to_power_off(std::unique_lock<std::mutex>& state_lock, std::chrono::milliseconds patience) {
  if (stalls_) return "cut off: its memory could not be read";
  if (is_held()) return "cut off: it was paused";
  if (!guest_.platform().press_power_button()) return "cut off: it does not listen to the power button";
  state_changed_.wait_for(state_lock, patience, [this] { return end_.has_value(); });
  return fmt::format("cut off: it did not power off within {} ms", patience.count());
}

MachineStatus Lifecycle::status() const {
  MachineStatus status;
  status.backups = backups_.status();
  const std::lock_guard lock(state_mutex_);
  status.state = end_                   ? RunState::kStopped
                 : !started_            ? RunState::kCreated
                 : is_held() || stalls_ ? RunState::kPaused
                                        : RunState::kRunning;
  if (end_) status.end_reason = end_->reason;
  if (!stands_still_.empty()) status.stands_still = stands_still_.back().second;
  status.in_debugger = debugger_->holds();
  status.checkpoint_running = checkpoint_running_;
  status.uptime_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - created_).count());
  status.exits_by_reason = most_frequent_first(guest_.processors().exits_by_reason());
  for (const ExitCount& reason : status.exits_by_reason) status.exits += reason.count;
  status.exits_by_device = most_frequent_first(guest_.exits_by_device());
  status.interrupts = guest_.processors().interrupts();
  status.page_faults = guest_.processors().page_faults();
  status.restored_from = restored_from_;
  if (const LazyLoad* load = guest_.load(); load != nullptr && !load->finished())
    status.load = {load->bytes_left(), load->bytes_total(), load->problem()};
  const auto disks = guest_.virtio().disks();
  for (std::size_t number = 0; number < disks.size(); ++number) {
    status.disk_traffic.push_back(disks[number]->traffic());
    const VirtualDisk* disk = disks[number]->disk();
    status.disk_images.push_back(disk == nullptr ? std::filesystem::path() : disk->options().image);
    if (disk == nullptr) continue;
    if (disk->waits_for_room()) status.disks_without_room.push_back(number);
    if (std::string problem = disk->problem(); !problem.empty())
      status.disk_problems.push_back({number, std::move(problem)});
  }
  return status;
}

void Lifecycle::announce(EventKind kind, const std::string& reason) noexcept { events_.post(event_of(kind, reason)); }

void Lifecycle::on_crash(VcpuThread& thread, const std::string& why) noexcept {
  try {
    end({1, "crash", crash_report(why, thread.vcpu(), guest_.memory(), guest_.loaded())});
  } catch (const std::exception&) {  // out of memory: without the report
    end({1, "crash", {}});
  }
}

void Lifecycle::on_system_event(std::uint32_t type) noexcept {
  end(type == KVM_SYSTEM_EVENT_SHUTDOWN ? MachineEnd{0, "power-off", {}}
      : type == KVM_SYSTEM_EVENT_RESET  ? MachineEnd{0, std::string(kResetReason), {}}
                                        : MachineEnd{1, "crash", {}});
}

void Lifecycle::on_trace(VcpuThread& thread) noexcept {
  try {
    trace_exit(thread.vcpu(), guest_.memory(), guest_.backplane());
  } catch (const std::exception& error) {
    log_note("trace: {}", error.what());
  }
}

}  // namespace tintype

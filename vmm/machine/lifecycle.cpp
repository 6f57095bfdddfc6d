// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/lifecycle.h"

#include <exception>

#include "checkpoint/backup/run_tintype.h"
#include "checkpoint/standby/key_file.h"
#include "checkpoint/standby/standby_place.h"
#include "checkpoint/standby/witness.h"
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

}  // namespace

Lifecycle::Lifecycle(const MachineConfig& config, FileStart serial_start, std::uint64_t restored_from)
    : restored_from_(restored_from), guest_(config, serial_start, guest_requests(), *this) {
  debugger_ = std::make_unique<Debugger>(guest_.memory(), guest_.processors(), debugger_means());
  using Then = std::function<void()>;
  harness_ = std::make_unique<Harness>(
      guest_.memory(),
      Harness::Work{[this](const Then& then) { return mark_and(OnlyOne(*this, Patience::kWait), then); },
                    [this](const Then& then) { return reset_and(OnlyOne(*this, Patience::kWait), then); }});
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

void Lifecycle::restore_lazily(const CheckpointReader& checkpoint, std::shared_ptr<const BlockSource> memory,
                               const ProgressSink& progress) {
  guest_.restore_lazily(checkpoint, std::move(memory), {[this](const std::string& why) { on_load_failure(why); }},
                        progress);
}

void Lifecycle::begin_from(const ParentRef& checkpoint) {
  all_loaded_ = guest_.load() == nullptr;
  builds_on_checkpoint_ = true;
  if (all_loaded_) {
    checkpointer_.begin_from(checkpoint);
  } else {
    checkpointer_.begin_from_absent(checkpoint);
  }
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
  announce(EventKind::kStarted);                              // before what the guest does
  if (debugger_->holds()) guest_.processors().ask_to_park();  // before its first instruction
  guest_.start();
  if (is_held()) park();
}

MachineEnd Lifecycle::wait() {
  MachineEnd how;
  {
    std::unique_lock lock(state_mutex_);
    state_changed_.wait(lock, [this] { return end_.has_value(); });
    how = *end_;
  }
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
  if (!stands_still_.empty()) throw Error("{} may not run on: {}", config().name, stands_still_);
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

void Lifecycle::park() {
  guest_.processors().pause();
  debugger_->withdraw();
}

// ---- a debugger ----

Debugger::Means Lifecycle::debugger_means() {
  return {[this](const std::function<void()>& then) { hold_for_debugger(then); },
          [this](const std::function<void()>& then) { release_by_debugger(then); }};
}

// A checkpoint's pause is waited for.
void Lifecycle::hold_for_debugger(const std::function<void()>& then) {
  const std::lock_guard pause_lock(pause_mutex_);
  if (stalls()) throw Error("{} stands still because its memory cannot be read", config().name);
  if (started_) park();
  then();
}

void Lifecycle::release_by_debugger(const std::function<void()>& then) {
  const std::lock_guard pause_lock(pause_mutex_);
  then();
  if (is_held() || stalls() || !started_ || has_ended()) return;
  guest_.processors().announce_pause();
  guest_.processors().resume();
}

// ---- disks that cannot go on ----

void Lifecycle::watch_disks() {
  for (const auto& slot : guest_.virtio().disks())
    if (slot->disk() != nullptr) slot->disk()->set_on_stop([this] { disk_watch_.ring(); });
}

void Lifecycle::let_disks_go_on() noexcept {
  for (const auto& slot : guest_.virtio().disks())
    if (slot->disk() != nullptr) slot->disk()->go_on();
}

// On the watch's thread. The requests wait, and the guest knows of nothing.
void Lifecycle::on_disk_trouble() noexcept {
  try {
    pause();
    for (const auto& slot : guest_.virtio().disks()) {
      const int error = slot->disk() == nullptr ? 0 : slot->disk()->stopped_by();
      if (error == 0) continue;
      log_note(
          "the machine {} is paused, because the host cannot read or write {} ({}): mend that and `tintype continue "
          "{}`, or `tintype stop {}`",
          config().name, slot->disk()->options().image.string(), errno_text(error), config().name, config().name);
    }
  } catch (const std::exception&) {  // it has ended: nobody needs the answers
  }
}

// ---- memory that cannot be read ----

// On a thread of the load. A pause by the user, or of a checkpoint, is not what this is: nobody may wait for a CPU that
// waits for memory.
void Lifecycle::on_load_failure(const std::string& why) noexcept {
  {
    const std::lock_guard lock(state_mutex_);
    stalls_ = true;
  }
  stall();
  announce(EventKind::kPaused, "its memory cannot be read: " + why);
  log_note(
      "the machine {} is paused, because its memory cannot be read: {}; mend that and `tintype continue {}`, or "
      "`tintype stop {}`",
      config().name, why, config().name, config().name);
}

void Lifecycle::stall() noexcept {
  guest_.processors().stall([this](std::uint32_t thread) { return guest_.load()->is_waited_for_by(thread); });
}

bool Lifecycle::stalls() const {
  const std::lock_guard lock(state_mutex_);
  return stalls_;
}

// The flag first: the next failure may come at once.
void Lifecycle::retry_load() {
  const auto set = [this](bool stalls) {
    const std::lock_guard lock(state_mutex_);
    stalls_ = stalls;
  };
  set(false);
  guest_.processors().end_stall();
  try {
    guest_.load()->retry();
  } catch (const std::exception& error) {
    set(true);
    stall();
    throw Error("the machine's memory still cannot be read: {}", error.what());
  }
}

/// With the checkpoint's mutex: all of memory is there, and where it came from a checkpoint it is known what of it is
/// as that has it.
void Lifecycle::finish_load(const ProgressSink& progress) {
  if (all_loaded_) return;
  LazyLoad& load = *guest_.load();
  load.wait([&](const Progress& so_far) {
    if (checkpointer_.cancelled()) throw Cancelled("the checkpoint was cancelled");
    if (progress) progress(so_far);
  });
  if (builds_on_checkpoint_) {
    checkpointer_.memory_is_there(
        [&load](std::size_t chunk, const PageSet& there) { return load.as_saved(chunk, there); });
  }
  all_loaded_ = true;
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
  status.stands_still = stands_still_;
  status.in_debugger = debugger_->holds();
  status.checkpoint_running = checkpoint_running_;
  status.uptime_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - created_).count());
  status.exits = guest_.processors().exits();
  status.interrupts = guest_.processors().interrupts();
  status.restored_from = restored_from_;
  if (const LazyLoad* load = guest_.load(); load != nullptr && !load->finished())
    status.load = {load->bytes_left(), load->bytes_total(), load->problem()};
  const auto disks = guest_.virtio().disks();
  for (std::size_t number = 0; number < disks.size(); ++number) {
    const VirtualDisk* disk = disks[number]->disk();
    if (disk == nullptr) continue;
    if (disk->waits_for_room()) status.disks_without_room.push_back(number);
    if (const int error = disk->stopped_by()) status.disk_problems.push_back({number, errno_text(error)});
  }
  return status;
}

Lifecycle::OnlyOne::OnlyOne(Lifecycle& machine, Patience patience)
    : machine_(machine), lock_(machine.checkpoint_mutex_, std::try_to_lock) {
  if (patience == Patience::kWait && !lock_) lock_.lock();
  std::unique_lock lock(machine_.state_mutex_);
  if (patience == Patience::kWait)
    machine_.state_changed_.wait(lock, [this] { return machine_.started_ || machine_.end_; });
  const std::string& name = machine_.config().name;
  if (!machine_.started_ || machine_.end_) throw Error("the machine {} is not running", name);  // close() may hold it
  if (!lock_) throw Error("a checkpoint of {} is being taken already: wait until it is finished", name);
  machine_.checkpoint_running_ = true;
  machine_.checkpointer_
      .forget_cancel();  // with the flag, so that a request is for the checkpoint that it was meant for
}

Lifecycle::OnlyOne::~OnlyOne() {
  const std::lock_guard lock(machine_.state_mutex_);
  machine_.checkpoint_running_ = false;
}

class Lifecycle::StandStill {
 public:
  explicit StandStill(Lifecycle& machine) : machine_(machine) {
    try {
      machine_.captured_.pause();
    } catch (...) {
      machine_.captured_.resume();
      throw;
    }
    machine_.captured_.freeze_devices();
  }
  ~StandStill() {
    machine_.captured_.thaw_devices();
    machine_.captured_.resume();
  }
  StandStill(const StandStill&) = delete;
  StandStill& operator=(const StandStill&) = delete;

 private:
  Lifecycle& machine_;
};

namespace {

std::uint64_t microseconds_since(std::chrono::steady_clock::time_point start) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start).count());
}

}  // namespace

MarkReport Lifecycle::mark() {
  return mark_and(OnlyOne(*this), [] {});
}

ResetReport Lifecycle::reset() {
  return reset_and(OnlyOne(*this), [] {});
}

MarkReport Lifecycle::mark_and(const OnlyOne&, const std::function<void()>& then) {
  finish_load({});
  mark_.reset();
  auto mark = std::make_unique<Mark>(guest_);
  const auto start = std::chrono::steady_clock::now();
  {
    const StandStill still(*this);
    mark->take();
    then();
  }
  const MarkReport report{microseconds_since(start)};
  mark->finish();
  mark_ = std::move(mark);
  resets_ = 0;
  announce(EventKind::kMarked);
  return report;
}

/// A machine that is neither here nor there must not run on.
Mark::Return Lifecycle::go_back() {
  bool half_way = false;
  try {
    return mark_->go_back(half_way);
  } catch (const std::exception& error) {
    if (half_way) end({1, fmt::format("cut off: it could not be reset: {}", error.what()), {}});
    throw;
  }
}

ResetReport Lifecycle::reset_and(const OnlyOne&, const std::function<void()>& then) {
  if (!mark_) throw Error("{} has no mark to go back to: set one with `tintype mark {}`", config().name, config().name);
  const auto start = std::chrono::steady_clock::now();
  Mark::Return back;
  {
    const StandStill still(*this);
    back = go_back();
    then();
  }
  if (back.disks) checkpointer_.disks_went_back();
  panicked_ = false;
  announce(EventKind::kReset);
  return ResetReport{back.pages, back.disks, microseconds_since(start), ++resets_};
}

void Lifecycle::announce(EventKind kind, const std::string& reason) noexcept { events_.post(event_of(kind, reason)); }

template <typename Take>
auto Lifecycle::with_events(const ProgressSink& progress, Take take, Patience patience) {
  const auto told = [&](const Progress& so_far) {
    events_.post_progress(so_far);
    if (progress) progress(so_far);
  };
  const auto taken = [this](const CheckpointReport& report) {
    MachineEvent event = event_of(EventKind::kCheckpoint, {});
    event.checkpoint = report;
    events_.post(std::move(event));
  };
  const OnlyOne only(*this, patience);
  try {
    finish_load(told);
    return take(told, taken);
  } catch (const std::exception& error) {
    announce(EventKind::kCheckpointFailed, error.what());
    throw;
  }
}

CheckpointReport Lifecycle::take_checkpoint(const CheckpointOptions& options, const ProgressSink& progress,
                                            Patience patience) {
  const auto take = [&](const ProgressSink& told, const auto& taken) {
    CheckpointReport report = checkpointer_.take(options, told);
    taken(report);
    return report;
  };
  return with_events(progress, take, patience);
}

CheckpointReport Lifecycle::checkpoint(const CheckpointOptions& options, const ProgressSink& progress) {
  return take_checkpoint(options, progress, Patience::kRefuse);
}

SeriesReport Lifecycle::checkpoint_series(const CheckpointOptions& options, const SeriesOptions& series,
                                          const ProgressSink& progress) {
  return with_events(
      progress,
      [&](const ProgressSink& told, const auto& taken) {
        return take_series(checkpointer_, options, series, told, taken);
      },
      Patience::kRefuse);
}

BackupMeans Lifecycle::backup_means() {
  return {[this](const std::filesystem::path& repository) { return back_up(repository); },
          [this](const BackupPlan& plan) { return backup_place(plan); }, run_tintype};
}

CheckpointReport Lifecycle::back_up(const std::filesystem::path& repository) {
  CheckpointOptions options;
  options.repository = repository;
  options.find_parent = true;
  return take_checkpoint(options, {}, Patience::kWait);
}

// A machine that may run elsewhere must have the right to run here before it does.
std::unique_ptr<BackupPlace> Lifecycle::backup_place(const BackupPlan& plan) {
  if (!is_standby(plan.to)) return make_directory_place(plan.to, config().name);
  const TcpAddress address = parse_tcp_address(plan.to.substr(plan.to.find("://") + 3), "--to");
  StandbyLink link{address, read_key_file(plan.key), config().name, spool_directory(config().name, address),
                   [this](const std::string& why) { stand_still(why); }};
  if (!plan.witness.empty()) {
    auto lease = std::make_shared<LeaseKeeper>(plan.witness, config().name);
    lease->guard({[this](const std::string& why) { stand_still(why); }, [this] { go_on(); }});
    accompany(lease);
  }
  return make_standby_place(std::move(link));
}

// ---- a machine that another one may run ----

void Lifecycle::stand_still(const std::string& why) {
  const std::lock_guard pause_lock(pause_mutex_);
  {
    const std::lock_guard lock(state_mutex_);
    const bool held = is_held();
    stands_still_ = why;
    if (held || !started_ || end_ || stalls_) return;
  }
  park();
  log_note("the machine {} stands still: {}", config().name, why);
}

void Lifecycle::go_on() {
  const std::lock_guard pause_lock(pause_mutex_);
  {
    const std::lock_guard lock(state_mutex_);
    if (std::exchange(stands_still_, {}).empty() || is_held() || stalls_ || !started_) return;
  }
  guest_.processors().announce_pause();
  guest_.processors().resume();
  log_note("the machine {} goes on", config().name);
}

void Lifecycle::accompany(std::shared_ptr<void> companion) {
  const std::lock_guard lock(state_mutex_);
  companions_.push_back(std::move(companion));
}

void Lifecycle::cancel_checkpoint() {
  const std::lock_guard lock(state_mutex_);
  if (!checkpoint_running_) throw Error("no checkpoint of {} is being taken", config().name);
  checkpointer_.cancel();
}

// ---- a guest's kernel that panics ----

// On the vCPU's thread, in the middle of the kernel's last words. What takes time is an errand; until that is done the
// vCPUs go no further, or the kernel might reset the machine first.
void Lifecycle::on_panic(Pvpanic::Event event) noexcept {
  if (event == Pvpanic::Event::kCrashLoaded) return announce(EventKind::kPanic, "its crash kernel takes over");
  if (panicked_.exchange(true)) return;
  announce(EventKind::kPanic);
  try {
    switch (config().on_failure.on_panic) {
      case PanicAction::kExit:
        return end(panic_end({}));
      case PanicAction::kPause:
        guest_.processors().ask_to_park();
        return errands_.post([this] { pause_because(std::string(kPanicReason)); });
      case PanicAction::kCheckpoint:
        guest_.processors().ask_to_park();
        return errands_.post([this] { photograph_panic(); });
    }
  } catch (const std::exception& error) {
    end({1, std::string(kPanicReason), error.what()});
  }
}

void Lifecycle::photograph_panic() {
  try {
    pause_because(std::string(kPanicReason));
    CheckpointOptions options;
    options.repository = config().on_failure.panic_repository.string();
    const CheckpointReport report = checkpoint(options, {});
    end(panic_end(fmt::format("it is in checkpoint {} of {}", report.id, options.repository)));
  } catch (const std::exception& error) {
    end(panic_end(fmt::format("and could not be photographed: {}", error.what())));
  }
}

MachineEnd Lifecycle::panic_end(const std::string& note) const {
  constexpr std::size_t kLastWords = 4096;
  std::string text = fmt::format("the guest's kernel panicked{}{}\n", note.empty() ? "" : "; ", note);
  std::string last_words = guest_.platform().console().log().tail(kLastWords);
  std::erase(last_words, '\r');
  if (!last_words.empty()) text += "the last lines of its console:\n" + last_words;
  return {1, std::string(kPanicReason), text};
}

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
    trace_exit(config().trace, thread.vcpu(), guest_.memory(), guest_.backplane());
  } catch (const std::exception& error) {
    log_note("trace: {}", error.what());
  }
}

// A user's pause or continue waits until the checkpoint's pause is over.
void Lifecycle::CapturedMachine::pause() {
  pause_lock_ = std::unique_lock(machine_.pause_mutex_);
  machine_.park();
  if (machine_.has_ended()) throw Error("the machine {} ended before it could be captured", name());
}

void Lifecycle::CapturedMachine::resume() noexcept {
  if (!machine_.is_held()) guest().processors().resume();
  pause_lock_.unlock();
}

}  // namespace tintype

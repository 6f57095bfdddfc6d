// SPDX-License-Identifier: Apache-2.0
// Checkpoints of a machine that runs: who may take one, and what it sees of the machine.
#include "vmm/base/error.h"
#include "vmm/machine/lifecycle.h"

namespace tintype {

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

Lifecycle::StandStill::StandStill(Lifecycle& machine) : machine_(machine) {
  try {
    machine_.captured_.pause();
  } catch (...) {
    machine_.captured_.resume();
    throw;
  }
  machine_.captured_.freeze_devices();
}

Lifecycle::StandStill::~StandStill() {
  machine_.captured_.thaw_devices();
  machine_.captured_.resume();
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

void Lifecycle::begin_from(const ParentRef& checkpoint) {
  restored_from_ = checkpoint.id;
  all_loaded_ = guest_.load() == nullptr && guest_.shared() == nullptr;
  builds_on_checkpoint_ = true;
  if (all_loaded_) {
    checkpointer_.begin_from(checkpoint);
  } else {
    checkpointer_.begin_from_absent(checkpoint);
  }
  guest_.complete_restore();  // from here on what is written is known; where memory comes later, it is compared
}

template <typename Take>
auto Lifecycle::with_events(const ProgressSink& progress, Take take, Patience patience) {
  const auto told = [&](const Progress& so_far) {
    events_.post_progress(so_far);
    if (progress) progress(so_far);
  };
  const auto taken = [this](const CheckpointReport& report) {
    MachineEvent event;
    event.kind = EventKind::kCheckpoint;
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

void Lifecycle::cancel_checkpoint() {
  const std::lock_guard lock(state_mutex_);
  if (!checkpoint_running_) throw Error("no checkpoint of {} is being taken", config().name);
  checkpointer_.cancel();
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
// What the host cannot read or write: memory of a restored machine that is still to come, a disk. The machine is paused
// and loses nothing; when it is continued, that is tried again.
#include <algorithm>

#include "checkpoint/store/working_set.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/machine/lifecycle.h"

namespace tintype {

// ---- disks that cannot go on ----

void Lifecycle::watch_disks() {
  for (const auto& slot : guest_.virtio().disks())
    if (slot->disk() != nullptr) slot->disk()->set_on_stop([this] { disk_watch_.ring(); });
}

void Lifecycle::let_disks_go_on() noexcept {
  for (const auto& slot : guest_.virtio().disks())
    if (slot->disk() != nullptr) slot->disk()->go_on();
}

// No request waits for it: the machine may run.
void Lifecycle::complete_disks_now() noexcept {
  for (const auto& slot : guest_.virtio().disks())
    if (slot->disk() != nullptr) slot->disk()->complete_now();
}

// On the watch's thread. The requests wait, and the guest knows of nothing. Two disks may ring one after the other, and
// their user may have had them go on in between: then there is nothing to pause for.
void Lifecycle::on_disk_trouble() noexcept {
  const auto is_stopped = [](const auto& slot) { return slot->disk() != nullptr && slot->disk()->waits_for_user(); };
  try {
    {
      const std::lock_guard pause_lock(pause_mutex_);
      if (std::ranges::none_of(guest_.virtio().disks(), is_stopped)) return;
      pause_now({});
    }
    for (const auto& slot : guest_.virtio().disks()) {
      const std::string trouble = slot->disk() == nullptr ? std::string() : slot->disk()->trouble();
      if (trouble.empty()) continue;
      log_note(
          "the machine {} is paused, because the host cannot read or write {} ({}): mend that and `tintype continue "
          "{}`, or `tintype stop {}`",
          config().name, slot->disk()->options().image.string(), trouble, config().name, config().name);
    }
  } catch (const std::exception&) {  // it has ended: nobody needs the answers
  }
}

// ---- memory that cannot be read ----

void Lifecycle::restore_lazily(const CheckpointReader& checkpoint, std::shared_ptr<const BlockSource> memory,
                               const ProgressSink& progress) {
  LazyLoad::Events events{[this](const std::string& why) { on_load_failure(why); }};
  LazyLoad::WorkingSet first;
  // A saved state goes when the machine has been resumed.
  if (const auto place = checkpoint.place_beside(); place && config().suspended_as.empty()) {
    events.on_learnt = [place](std::span<const std::uint64_t> pages) { write_working_set(*place, pages); };
    first = read_working_set(*place);
  }
  guest_.restore_lazily(checkpoint, std::move(memory), std::move(events), std::move(first), progress);
}

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
  if (const SharedMemory* shared = guest_.shared()) {
    shared->make_present();
    checkpointer_.memory_is_there(
        [shared](std::size_t chunk, const PageSet& there) { return shared->as_saved(chunk, there); });
    all_loaded_ = true;
    return;
  }
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

}  // namespace tintype

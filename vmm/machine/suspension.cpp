// SPDX-License-Identifier: Apache-2.0
// How a machine is suspended, and how it comes back: the part of its life that begins and ends with one name on disk.
#include <algorithm>

#include "vmm/base/error.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/saved_state.h"

namespace tintype {

/// The machine paused, whatever anybody asks for meanwhile; running on afterwards, unless it is suspended by then.
class Lifecycle::Suspension {
 public:
  explicit Suspension(Lifecycle& machine) : machine_(machine), was_paused_(set(true)) { machine_.pause(); }
  ~Suspension() {
    set(false);
    if (suspended_) return;
    for (const auto& disk : machine_.guest_.virtio().disks()) disk->disk()->suspend_failed();
    if (!was_paused_ && !machine_.has_ended() && !a_disk_has_stopped()) machine_.resume();
  }
  Suspension(const Suspension&) = delete;
  Suspension& operator=(const Suspension&) = delete;

  void complete() noexcept {
    machine_.end({0, std::string(kSuspendedReason), {}});
    suspended_ = true;
  }

 private:
  /// Returns whether its user has paused it.
  bool set(bool suspending) {
    const std::lock_guard lock(machine_.state_mutex_);
    machine_.suspending_ = suspending;
    return machine_.paused_by_user_;
  }

  /// Then it would have been paused for that, and says so; whoever continues it has seen it.
  bool a_disk_has_stopped() const {
    return std::ranges::any_of(machine_.guest_.virtio().disks(),
                               [](const auto& disk) { return disk->disk()->stopped_by() != 0; });
  }

  Lifecycle& machine_;
  const bool was_paused_;
  bool suspended_ = false;
};

std::filesystem::path Lifecycle::place_to_suspend(const std::filesystem::path& directory) const {
  if (!directory.empty()) return directory;
  if (!config().disk_directory.empty()) return config().disk_directory;
  for (const auto& disk : guest_.virtio().disks())
    if (!disk->read_only()) return disk->disk()->options().image.parent_path();
  throw UsageError("{} has no disks that it could be saved beside: say where it goes with --to DIR", config().name);
}

// Memory and devices are written while the CPUs stand still. Then the disks are brought to rest: whatever is written to
// them afterwards belongs to requests that the saved state issues again. The last step is the checkpoint's own, one
// rename, and until then all of this can be taken back.
SuspendReport Lifecycle::suspend(const std::filesystem::path& directory, const ProgressSink& progress) try {
  const OnlyOne only(*this);
  const std::filesystem::path state = new_saved_state(place_to_suspend(directory), config().name);
  finish_load(progress);
  const auto check_disks = [this] {
    for (const auto& disk : guest_.virtio().disks()) disk->disk()->check_suspendable();
  };
  check_disks();
  Suspension suspension(*this);
  CheckpointOptions options;
  options.repository = state;
  options.strategy = Strategy::kStop;
  options.only = Portion::kMemory;
  options.full = true;
  options.before_seal = [&](const CheckpointReport& so_far) {
    check_disks();
    mark_.reset();  // it holds the logs that are to be committed; what failed before now has left it alone
    for (const auto& disk : guest_.virtio().disks())
      disk->disk()->suspend(so_far.identity, deciding_name(state, so_far.id));
  };
  const CheckpointReport report = checkpointer_.take(options, progress);
  suspension.complete();
  return SuspendReport{state, report.memory.bytes_written};
} catch (const Cancelled&) {
  throw Cancelled("the suspend was cancelled");
}

void Lifecycle::resumes_from(const std::filesystem::path& saved_state) {
  all_loaded_ = guest_.load() == nullptr;
  suspended_state_ = saved_state;
}

/// Killed before the middle step, the machine is suspended still; after it, it is one that ran and was killed, and its
/// disks are good.
void Lifecycle::leave_suspension() {
  if (suspended_state_.empty()) return;
  for (const auto& disk : guest_.virtio().disks()) disk->disk()->begin_resume();
  use_up_saved_state(suspended_state_);
  for (const auto& disk : guest_.virtio().disks()) disk->disk()->end_resume();
}

}  // namespace tintype

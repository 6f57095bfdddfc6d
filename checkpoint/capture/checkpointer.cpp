// SPDX-License-Identifier: Apache-2.0
// What a machine's checkpoints share: the engine, the strategies, and what the next one builds on.
#include <utility>

#include "checkpoint/capture/live_checkpoint.h"
#include "checkpoint/capture/predecessor.h"
#include "vmm/base/log.h"

namespace tintype {

Checkpointer::Checkpointer(CaptureSubject& subject, CaptureMeans means)
    : subject_(subject), means_(std::move(means)), engine_(subject.memory(), means_.make_userfault, means_.tracking) {}

/// What is there of this machine becomes what the next one builds on. False where nothing is. Guest running.
bool Checkpointer::find_parent(const std::string& repository, const MachineDescription& machine) {
  auto found = find_predecessor(repository, latest_, subject_.name(), machine, known_);
  if (!found) return false;
  if (found->contents) {
    latest_.reset();
    try {
      engine_.begin_compared_with(found->contents->memory(), cancellation_);
    } catch (const ImageError& damage) {
      log_note("{}: what is there is damaged, and all is written anew ({})", subject_.name(), damage.what());
      forget_compared();
      return false;
    }
    compared_ = std::move(found->contents);
    memory_saved_ = disks_saved_ = true;
  }
  latest_ = found->checkpoint;
  return true;
}

/// What the next one was to build on is damaged.
void Checkpointer::forget_compared() noexcept {
  compared_.reset();
  latest_.reset();
  memory_saved_ = disks_saved_ = false;
  found_damage_ = true;
}

void Checkpointer::begin_from(const ParentRef& checkpoint) {
  begin_from_absent(checkpoint);
  engine_.begin_as_restored();
  memory_saved_ = true;
}

void Checkpointer::begin_from_absent(const ParentRef& checkpoint) {
  for (FreezableDisk* disk : subject_.disks()) disk->is_as_saved();
  disks_saved_ = true;
  latest_ = checkpoint;
}

void Checkpointer::memory_is_there(const MemoryTracker::AsSaved& as_saved) {
  engine_.begin_as_compared(as_saved);
  memory_saved_ = true;
}

MemoryCapture& Checkpointer::capture_for(Strategy strategy) {
  auto& capture = captures_[strategy];
  if (!capture) capture = means_.make_capture(strategy, engine_);
  return *capture;
}

}  // namespace tintype

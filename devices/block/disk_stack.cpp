// SPDX-License-Identifier: Apache-2.0
// What others do to a disk's stack while requests are under way: switching, committing live, and the notes of what was
// written. Each is a step under the mutex.
#include <utility>

#include "devices/block/disk_core.h"

namespace tintype {

std::shared_ptr<const LayerStack> DiskCore::stack() const noexcept {
  const std::lock_guard lock(mutex_);
  return stack_;
}

std::uint64_t DiskCore::epoch() const noexcept {
  const std::lock_guard lock(mutex_);
  return epoch_;
}

std::uint64_t DiskCore::switch_to(std::shared_ptr<const LayerStack> fresh, std::shared_ptr<ChangedBlocks>& changes,
                                  Leftovers& leftovers) noexcept {
  const std::lock_guard lock(mutex_);
  leftovers.stack = std::exchange(stack_, std::move(fresh));
  leftovers.live_commit = std::move(live_commit_);
  changes_.swap(changes);
  return epoch_++;
}

// Piece by piece: the mutex is held for a page at a time.
void DiskCore::put_back_changes(const ChangedBlocks& changes) {
  if (changes.holds_all()) {
    const std::lock_guard lock(mutex_);
    return changes_->insert_all();
  }
  for (std::size_t piece = 0; piece < changes.piece_count(); ++piece) {
    const std::lock_guard lock(mutex_);
    changes_->insert_piece(changes, piece);
  }
}

void DiskCore::forget_changes() {
  const std::lock_guard lock(mutex_);
  changes_ = std::make_shared<ChangedBlocks>(stack_->base->size() / kSectorSize);
}

std::uint64_t DiskCore::changed_bytes() const noexcept {
  const std::lock_guard lock(mutex_);
  return changes_->byte_count();
}

void DiskCore::replace_stack(std::shared_ptr<const LayerStack> stack) noexcept {
  const std::lock_guard lock(mutex_);
  stack_.swap(stack);
}

bool DiskCore::live_committing() const noexcept {
  const std::lock_guard lock(mutex_);
  return live_commit_ != nullptr;
}

std::uint64_t DiskCore::begin_live_commit() {
  const std::lock_guard lock(mutex_);
  live_commit_ = std::make_unique<LiveCommit>(stack_->active()->index());
  return epoch_++;
}

void DiskCore::end_live_commit() noexcept {
  std::unique_ptr<LiveCommit> ended;
  const std::lock_guard lock(mutex_);
  ended.swap(live_commit_);
}

LiveCommit::Chunk DiskCore::next_chunk(std::uint64_t& cursor, std::uint64_t limit) {
  const std::lock_guard lock(mutex_);
  return live_commit_->next_chunk(cursor, limit, [this](const SectorRange& range) { return order_.busy(range); });
}

void DiskCore::chunk_copied() {
  const std::lock_guard lock(mutex_);
  live_commit_->chunk_copied();
}

bool DiskCore::begin_settling() noexcept {
  const std::lock_guard lock(mutex_);
  return live_commit_->begin_settling();
}

bool DiskCore::settled() const noexcept {
  const std::lock_guard lock(mutex_);
  return live_commit_->settled();
}

void DiskCore::finish_live_commit(std::shared_ptr<const LayerStack> stack) noexcept {
  std::unique_ptr<LiveCommit> ended;
  const std::lock_guard lock(mutex_);
  ended.swap(live_commit_);
  stack_.swap(stack);
}

}  // namespace tintype

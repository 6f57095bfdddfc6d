// SPDX-License-Identifier: Apache-2.0
#include "devices/block/frozen_stack.h"

#include <chrono>
#include <thread>

#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {

FrozenStack::FrozenStack(std::shared_ptr<DiskCore> core, std::shared_ptr<const LayerStack> stack,
                         std::shared_ptr<RedoLog> fresh, std::shared_ptr<CommitGate> gate, int limit_ms)
    : hold_(std::move(gate), limit_ms), core_(std::move(core)), stack_(std::move(stack)), fresh_(std::move(fresh)) {}

void FrozenStack::wait_for_old_io(int limit_ms, const WhileWaiting& meanwhile) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
  while (!core_->writes_landed(epoch_)) {
    if (meanwhile) meanwhile();
    if (std::chrono::steady_clock::now() > limit) {
      throw Error(
          "the host has not finished writing to {} within {} ms: its disk is too slow or stuck, try again later",
          stack_->base->path().string(), limit_ms);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  // Should we be killed, and should somebody then change the image before the log has been committed to it,
  // this lets us notice.
  if (fresh_ == nullptr) return;
  stack_->base->settle();
  fresh_->set_state(log_format::StateKind::kStable, stack_->base->modified_ns());
}

void FrozenStack::read(std::uint64_t offset, std::span<std::byte> into) {
  check(offset % kSectorSize == 0 && into.size() % kSectorSize == 0, "a frozen disk is read in whole sectors");
  check(offset <= size() && into.size() <= size() - offset, "a frozen disk is read inside its size");
  std::vector<Piece> pieces;
  resolve(*stack_, {offset / kSectorSize, (offset + into.size()) / kSectorSize}, pieces);
  for (const Piece& piece : pieces) {
    const std::uint64_t length = piece.range.count() * kSectorSize;
    read_exactly(piece.file->fd(), into.first(length), piece.offset, piece.file->path().string());
    into = into.subspan(length);
  }
}

std::optional<FrozenDisk::Range> FrozenStack::next_data(std::uint64_t offset) {
  std::optional<Range> first;
  if (const auto data = stack_->base->next_data(offset)) first = Range{data->offset, data->length};
  for (const auto& log : stack_->logs) {
    const auto extent = log->index().at_or_after(offset / kSectorSize);
    if (!extent) continue;
    const Range range{extent->range.start * kSectorSize, extent->range.count() * kSectorSize};
    if (!first || range.offset < first->offset || (range.offset == first->offset && range.length > first->length))
      first = range;
  }
  return first;
}

std::optional<FrozenDisk::Range> FrozenStack::next_change(std::uint64_t offset) {
  const auto run = changes_->at_or_after(offset / kSectorSize);
  if (!run) return std::nullopt;
  return Range{run->start * kSectorSize, run->count() * kSectorSize};
}

}  // namespace tintype

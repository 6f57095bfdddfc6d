// SPDX-License-Identifier: Apache-2.0
#include "devices/block/frozen_stack.h"

#include <chrono>
#include <thread>

#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {

FrozenStack::FrozenStack(std::shared_ptr<DiskCore> core, std::shared_ptr<const LayerStack> stack,
                         std::shared_ptr<RedoLog> fresh, std::shared_ptr<CommitGate> gate)
    : hold_(std::move(gate)), core_(std::move(core)), stack_(std::move(stack)), fresh_(std::move(fresh)) {}

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
  if (fresh_ == nullptr || fresh_->state().kind != log_format::StateKind::kFresh) return;
  if (!stack_->base->rests()) return;
  stack_->base->settle();
  fresh_->set_state(log_format::StateKind::kStable, stack_->base->modified_ns());
  base_is_settled_ = true;
}

void FrozenStack::read(std::uint64_t offset, std::span<std::byte> into) {
  check(offset % kSectorSize == 0 && into.size() % kSectorSize == 0, "a frozen disk is read in whole sectors");
  check(offset <= size() && into.size() <= size() - offset, "a frozen disk is read inside its size");
  read_stack(*stack_, offset / kSectorSize, into);
}

std::optional<FrozenDisk::Range> FrozenStack::next_data(std::uint64_t offset) {
  const auto data = tintype::next_data(*stack_, offset / kSectorSize);
  if (!data) return std::nullopt;
  return Range{data->start * kSectorSize, data->count() * kSectorSize};
}

std::optional<FrozenDisk::Range> FrozenStack::next_change(std::uint64_t offset) {
  const auto run = changes_->at_or_after(offset / kSectorSize);
  if (!run) return std::nullopt;
  return Range{run->start * kSectorSize, run->count() * kSectorSize};
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/blk_executor.h"

#include "vmm/base/error.h"

namespace tintype {

namespace {

BlockOperation operation_of(BlkAction action) {
  switch (action) {
    case BlkAction::kRead:
      return BlockOperation::kRead;
    case BlkAction::kWrite:
      return BlockOperation::kWrite;
    case BlkAction::kZero:
      return BlockOperation::kZero;
    case BlkAction::kFlush:
      return BlockOperation::kFlush;
    case BlkAction::kGetId:
    case BlkAction::kRefuse:
      break;
  }
  check(false, "only what concerns its contents is carried out by the disk");
  return BlockOperation::kFlush;
}

}  // namespace

BlkExecutor::BlkExecutor(BlockBackend& backend, std::size_t slots, Listener& listener)
    : backend_(backend), listener_(listener), slots_(slots) {
  free_.reserve(slots);
  for (std::size_t i = slots; i-- > 0;) {
    slots_[i].owner_ = this;
    slots_[i].request_.owner = &slots_[i];
    slots_[i].request_.done = &on_done;
    free_.push_back(static_cast<std::uint32_t>(i));
  }
}

void BlkExecutor::start() noexcept {
  Slot& slot = next_slot();
  free_.pop_back();
  slot.busy_ = true;
  slot.abandoned_ = false;
  const bool writes = slot.command.action == BlkAction::kWrite || slot.command.action == BlkAction::kZero;
  slot.flush_follows_ = write_through_ && writes;
  slot.request_.operation = operation_of(slot.command.action);
  slot.request_.offset = slot.command.offset;
  slot.request_.length = slot.command.length;
  slot.request_.may_unmap = slot.command.may_unmap;
  slot.request_.segments.clear();
  for (const ChainBuffer& buffer : slot.command.data) {
    slot.request_.segments.push_back({buffer.host.data(), buffer.host.size()});
  }
  submitted_ = true;
  backend_.submit(slot.request_);  // the slot may be free again now
}

void BlkExecutor::kick() noexcept {
  if (!submitted_) return;
  submitted_ = false;
  backend_.kick();
}

void BlkExecutor::on_done(BlockRequest& request, int error_number) noexcept {
  Slot& slot = *static_cast<Slot*>(request.owner);
  slot.owner_->done(slot, error_number);
}

void BlkExecutor::done(Slot& slot, int error_number) noexcept {
  check(slot.busy_, "a block request is done once");
  if (slot.command.action == BlkAction::kRead) listener_.data_landed(slot.command);
  if (slot.flush_follows_ && error_number == 0 && !slot.abandoned_) {
    slot.flush_follows_ = false;
    slot.request_.operation = BlockOperation::kFlush;
    slot.request_.segments.clear();
    submitted_ = true;
    return backend_.submit(slot.request_);
  }
  if (!slot.abandoned_) listener_.finished(slot, error_number);
  release(slot);
}

void BlkExecutor::release(Slot& slot) noexcept {
  if (slot.abandoned_) --abandoned_;
  slot.busy_ = slot.abandoned_ = false;
  free_.push_back(static_cast<std::uint32_t>(&slot - slots_.data()));
}

void BlkExecutor::abandon(std::uint16_t queue) noexcept {
  if (free_.size() == slots_.size()) return;
  for (Slot& slot : slots_) {
    if (!slot.busy_ || slot.abandoned_ || slot.queue != queue) continue;
    slot.abandoned_ = true;
    ++abandoned_;
  }
}

}  // namespace tintype

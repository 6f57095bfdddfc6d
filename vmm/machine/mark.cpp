// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/mark.h"

namespace tintype {

namespace {

constexpr int kOldIoLimitMs = 60'000;

}  // namespace

Mark::Mark(Guest& guest) : guest_(guest) {
  try {
    for (FreezableDisk* disk : guest_.virtio().freezable()) {
      disk->prepare_switch();
      ++prepared_;
    }
  } catch (...) {
    for (std::size_t i = 0; i < prepared_; ++i) guest_.virtio().freezable()[i]->cancel_switch();
    throw;
  }
}

Mark::~Mark() {
  for (std::size_t i = 0; i < prepared_; ++i) guest_.virtio().freezable()[i]->cancel_switch();
  if (disks_.empty()) return;
  disks_.clear();
  for (FreezableDisk* disk : guest_.virtio().freezable()) disk->start_commit();
}

// Memory last of all that may fail: the copy that the previous mark has becomes one of this instant.
void Mark::take(Mark* previous) {
  vcpus_ = guest_.processors().remember();
  const auto things = guest_.states().subspan(vcpus_.size());
  const std::size_t of_kvm = things.size() - guest_.backplane().devices().size();
  for (Stateful* thing : things.first(of_kvm)) platform_.emplace_back(thing, thing->save_state());
  for (Stateful* device : things.subspan(of_kvm)) devices_.emplace_back(device, device->save_state());
  const auto disks = guest_.virtio().freezable();
  disks_.reserve(disks.size());
  if (previous != nullptr) {
    previous->memory_->take_again();
    memory_ = std::move(previous->memory_);
  } else {
    memory_ = std::make_unique<MarkedMemory>(guest_.memory(), guest_.vm());
  }
  prepared_ = 0;
  for (FreezableDisk* disk : disks) disks_.push_back(disk->switch_to_fresh_log());
}

void Mark::finish() {
  for (const auto& disk : disks_) disk->wait_for_old_io(kOldIoLimitMs);
}

void Mark::quieten_disks() {
  const auto disks = guest_.virtio().disks();
  try {
    for (std::size_t i = 0; i < disks.size(); ++i) disks[i]->disk()->prepare_return(*disks_[i]);
    for (const auto& disk : disks) disk->disk()->wait_until_idle();
  } catch (...) {
    for (const auto& disk : disks) disk->disk()->cancel_return();
    throw;
  }
}

// Disks first: once nothing is in flight, nobody writes to memory any more; and they may fail. The states last, in the
// order in which they are restored from a checkpoint. A device that nothing has happened to is left alone: a virtio
// device would wake its thread, to look for nothing.
Mark::Return Mark::go_back(bool& half_way) {
  Return result;
  const auto disks = guest_.virtio().disks();
  quieten_disks();
  for (std::size_t i = 0; i < disks.size(); ++i) {
    if (disks[i]->disk()->go_back_to(*disks_[i])) half_way = result.disks = true;
  }
  half_way = true;
  result.pages = memory_->go_back();
  guest_.processors().go_back_to(vcpus_);
  for (const auto& [thing, state] : platform_) thing->restore_state(state);
  for (const auto& [device, state] : devices_)
    if (device->save_state() != state) device->restore_state(state);
  half_way = false;
  return result;
}

}  // namespace tintype

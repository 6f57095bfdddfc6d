// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/return_to.h"

#include "vmm/base/error.h"

namespace tintype {

namespace {

[[noreturn]] void refuse(const CheckpointReader& checkpoint, const std::string& why) {
  const auto id = checkpoint.manifest().id;
  throw Error(
      "checkpoint {} is of another machine than this ({}): restore it beside, with `tintype restore {} --id {}`", id,
      why, checkpoint.repository().string(), id);
}

std::string text_of(const DiskDescription& disk) {
  return fmt::format("of {} bytes{}", disk.size, disk.read_only ? ", read-only" : "");
}

void check_same_shape(const CheckpointReader& checkpoint, const MachineDescription& here) {
  const MachineDescription& there = checkpoint.manifest().machine;
  if (there.memory != here.memory)
    refuse(checkpoint, fmt::format("{} bytes of memory, not {}", there.memory, here.memory));
  if (there.cpus != here.cpus) refuse(checkpoint, fmt::format("{} CPUs, not {}", there.cpus, here.cpus));
  if (there.disks.size() != here.disks.size())
    refuse(checkpoint, fmt::format("{} disks, not {}", there.disks.size(), here.disks.size()));
  for (std::size_t i = 0; i < here.disks.size(); ++i) {
    const DiskDescription &a = there.disks[i], &b = here.disks[i];
    if (a.size != b.size || a.read_only != b.read_only)
      refuse(checkpoint, fmt::format("{} {}, not {}", b.id, text_of(a), text_of(b)));
  }
}

/// Requests that wait for the host would have to be failed first, and that must not be where the return is refused.
void check_at_work(const VirtualDisk& disk) {
  const int error = disk.stopped_by();
  if (error == 0 && !disk.waits_for_room()) return;
  throw Error("requests of the guest to {} wait for the host ({}): mend that first", disk.id(),
              error == 0 ? "there is no room for its redo log" : errno_text(error));
}

}  // namespace

ReturnTo::ReturnTo(Guest& guest, const CheckpointReader& checkpoint) : guest_(guest), checkpoint_(checkpoint) {
  check_same_shape(checkpoint, guest.describe());
  try {
    for (FreezableDisk* disk : guest_.virtio().freezable()) {
      disk->prepare_switch();
      ++prepared_;
    }
  } catch (...) {
    cancel();
    throw;
  }
}

ReturnTo::~ReturnTo() { cancel(); }

void ReturnTo::cancel() noexcept {
  for (std::size_t i = 0; i < prepared_; ++i) guest_.virtio().freezable()[i]->cancel_switch();
}

// What is cheap to refuse comes first.
void ReturnTo::look() {
  guest_.check(checkpoint_);
  vcpus_ = guest_.processors().remembered_in(
      [&](const std::string& name) -> const StateRecord& { return *checkpoint_.find_state(name); });
  for (const auto& disk : guest_.virtio().disks()) check_at_work(*disk->disk());
  memory_ = std::make_unique<MemoryDifference>(checkpoint_.memory(), guest_.memory());
  compare_disks();
}

void ReturnTo::compare_disks() {
  const auto disks = guest_.virtio().disks();
  for (const auto& disk : disks) disk->disk()->wait_until_idle();
  for (const auto& disk : disks) {
    SavedDisk saved(*checkpoint_.disk(disk->id()));
    if (disk->disk()->prepare_contents(saved)) disks_differ_ = true;
  }
}

// The order of a restore. KVM may have shadows of the guest's page tables, which it does not see change.
Mark::Return ReturnTo::go() {
  prepared_ = 0;
  for (const auto& disk : guest_.virtio().disks()) disk->disk()->take_contents();
  memory_->apply();
  guest_.forget_page_tables();
  guest_.processors().go_back_to(vcpus_);
  for (Stateful* thing : guest_.states().subspan(vcpus_.size()))
    thing->restore_state(*checkpoint_.find_state(thing->state_name()));
  guest_.processors().announce_pause();
  guest_.renew_generation();
  return {memory_->pages(), disks_differ_};
}

}  // namespace tintype

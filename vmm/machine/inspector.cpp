// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/inspector.h"

#include <algorithm>

#include "vmm/base/error.h"

namespace tintype {

namespace {

// Blocks are read whole; a region's are numbered one after the other.
bool read_checkpoint(const CheckpointReader& checkpoint, Gpa from, std::span<std::byte> into) {
  for (const RegionDescription& region : checkpoint.manifest().machine.regions) {
    if (from.value() < region.start || from.value() - region.start >= region.size) continue;
    const std::uint64_t offset = from.value() - region.start;
    if (into.size() > region.size - offset) return false;
    const std::uint64_t first = offset / kBlockSize, end = (offset + into.size() + kBlockSize - 1) / kBlockSize;
    std::vector<std::byte> blocks((end - first) * kBlockSize);
    checkpoint.memory().read_blocks(region.first_block + first, blocks);
    std::copy_n(blocks.begin() + static_cast<std::ptrdiff_t>(offset % kBlockSize), into.size(), into.begin());
    return true;
  }
  return false;
}

Inspector::Subject subject_in(const CheckpointReader& checkpoint) {
  Inspector::Subject subject;
  subject.name = fmt::format("checkpoint {}", checkpoint.manifest().id);
  if (checkpoint.manifest().report.holds == Portion::kDisks) checkpoint.require(Portion::kMemory);
  while (const StateRecord* record = checkpoint.find_state(fmt::format("vcpu{}", subject.cpus.size())))
    subject.cpus.push_back(VcpuState::registers_in(*record));
  subject.memory = [&checkpoint](Gpa from, std::span<std::byte> into) {
    return read_checkpoint(checkpoint, from, into);
  };
  subject.virtio = virtio_devices_in(checkpoint.states());
  return subject;
}

}  // namespace

// Whatever the device: what it has in common with others is a record of its own.
std::vector<InspectedDevice> virtio_devices_in(std::span<const NamedState> states) {
  std::vector<InspectedDevice> devices;
  for (const NamedState& state : states) {
    for (const StateField& field : state.record.fields) {
      const auto* records = std::get_if<std::vector<StateRecord>>(&field.value);
      if (records == nullptr || records->size() != 1 || records->front().type != VirtioMmioStateV1::kType) continue;
      devices.push_back({state.name, state.record.type, from_record<VirtioMmioStateV1>(records->front())});
    }
  }
  return devices;
}

Inspector::Inspector(const CheckpointReader& checkpoint) : subject_(subject_in(checkpoint)) {}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/inspector.h"

#include <algorithm>

#include "vmm/base/error.h"

namespace tintype {

Inspector::Inspector(const CheckpointReader& checkpoint) : checkpoint_(checkpoint) {
  if (checkpoint.manifest().report.holds == Portion::kDisks) checkpoint.require(Portion::kMemory);
  while (const StateRecord* record = checkpoint.find_state(fmt::format("vcpu{}", cpus_.size())))
    cpus_.push_back(VcpuState::registers_in(*record));
}

const VcpuRegisters& Inspector::registers(std::uint64_t cpu) const {
  if (cpu < cpus_.size()) return cpus_[cpu];
  throw Error("checkpoint {} has no CPU {}: it has {}, from 0 on", checkpoint_.manifest().id, cpu, cpus_.size());
}

// Blocks are read whole; a region's are numbered one after the other.
bool Inspector::read(Gpa from, std::span<std::byte> into) const {
  for (const RegionDescription& region : checkpoint_.manifest().machine.regions) {
    if (from.value() < region.start || from.value() - region.start >= region.size) continue;
    const std::uint64_t offset = from.value() - region.start;
    if (into.size() > region.size - offset) return false;
    const std::uint64_t first = offset / kBlockSize, end = (offset + into.size() + kBlockSize - 1) / kBlockSize;
    std::vector<std::byte> blocks((end - first) * kBlockSize);
    checkpoint_.memory().read_blocks(region.first_block + first, blocks);
    std::copy_n(blocks.begin() + static_cast<std::ptrdiff_t>(offset % kBlockSize), into.size(), into.begin());
    return true;
  }
  return false;
}

}  // namespace tintype

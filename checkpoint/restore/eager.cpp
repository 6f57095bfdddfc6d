// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/eager.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "checkpoint/format/load_part.h"
#include "vmm/base/error.h"

namespace tintype {

namespace {

const StateRecord& state_for(const CheckpointReader& checkpoint, const Stateful& thing) {
  const StateRecord* record = checkpoint.find_state(thing.state_name());
  if (record == nullptr)
    throw StateError("the checkpoint has no state of {}: it was taken of another kind of machine", thing.state_name());
  return *record;
}

void check_regions(const Manifest& manifest, const GuestMemory& memory) {
  std::vector<RegionDescription> here;
  for (const MemoryRegion& region : memory.regions())
    here.push_back({region.start.value(), region.size, region.first_page});
  if (here != manifest.machine.regions) {
    throw Error(
        "the checkpoint's memory is laid out in another way than this program's: restore it with the version that took "
        "it ({})",
        manifest.tintype_version);
  }
}

}  // namespace

void check_restorable(const CheckpointReader& checkpoint, const GuestMemory& memory,
                      std::span<Stateful* const> states) {
  check_regions(checkpoint.manifest(), memory);
  for (const Stateful* thing : states) thing->check_state(state_for(checkpoint, *thing));
  for (const NamedState& saved : checkpoint.states()) {
    const bool known = std::any_of(states.begin(), states.end(),
                                   [&](const Stateful* thing) { return thing->state_name() == saved.name; });
    if (!known)
      throw StateError(
          "the checkpoint has the state of {}, which this machine lacks: it was taken of another kind of machine",
          saved.name);
  }
}

void load_memory(const CheckpointReader& checkpoint, GuestMemory& memory, const ProgressSink& progress) {
  const auto locate = [&](std::uint64_t page) {
    const Gpa address = memory.page_address(page);
    for (const MemoryRegion& region : memory.regions()) {
      const std::uint64_t offset = address.value() - region.start.value();
      if (address >= region.start && offset < region.size) return std::span(region.host + offset, region.size - offset);
    }
    return std::span<std::byte>();
  };
  load_part(checkpoint.memory(), locate, std::clamp(std::thread::hardware_concurrency(), 1U, 4U), progress);
}

void restore_states(const CheckpointReader& checkpoint, std::span<Stateful* const> states) {
  for (Stateful* thing : states) thing->restore_state(state_for(checkpoint, *thing));
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/checkpoint_reader.h"

#include <algorithm>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/store/open_checkpoint.h"
#include "checkpoint/store/repository.h"

namespace tintype {

namespace fs = std::filesystem;

CheckpointReader::CheckpointReader(const fs::path& path, std::optional<std::uint64_t> id) {
  const Repository repository = Repository::open(path);
  const std::uint64_t which = repository.resolve(id);
  const fs::path directory = repository.directory_of(which);
  manifest_ = read_manifest(directory, which);
  states_ = read_states(directory, manifest_);
  open_parts(directory);
  check_machine();
}

void CheckpointReader::open_parts(const fs::path& directory) {
  for (const PartDescription& part : manifest_.parts) {
    if (part.name == checkpoint_files::kStateName) continue;
    if (part.name == checkpoint_files::kMemoryName) {
      memory_ = open_part(directory, part, PartKind::kMemory);
    } else {
      disks_.push_back({part.name, open_part(directory, part, PartKind::kDisk)});
    }
  }
  if (memory_) memory_->check_gaps();
  for (const DiskPart& disk : disks_) disk.part->check_gaps();
}

// The manifest's two halves, what the machine was and what the files are, must tell the same story.
void CheckpointReader::check_machine() const {
  const MachineDescription& machine = manifest_.machine;
  if (!memory_ || memory_->content_bytes() != machine.memory) {
    throw ImageError("checkpoint {} does not hold the {} bytes of memory that its machine has", manifest_.id,
                     machine.memory);
  }
  if (disks_.size() != machine.disks.size())
    throw ImageError("checkpoint {} has a part for a disk that its machine has not", manifest_.id);
  for (const DiskDescription& description : machine.disks) {
    const PartReader* part = disk(description.id);
    if (part == nullptr || part->content_bytes() != description.size) {
      throw ImageError("checkpoint {} does not hold the {} bytes of {}", manifest_.id, description.size,
                       description.id);
    }
  }
}

const StateRecord* CheckpointReader::find_state(std::string_view name) const noexcept {
  const auto found = std::ranges::find(states_, name, &NamedState::name);
  return found == states_.end() ? nullptr : &found->record;
}

const PartReader* CheckpointReader::disk(std::string_view id) const noexcept {
  const auto found = std::ranges::find(disks_, id, &DiskPart::id);
  return found == disks_.end() ? nullptr : found->part.get();
}

}  // namespace tintype

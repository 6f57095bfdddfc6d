// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/checkpoint_writer.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/store/space.h"
#include "vmm/base/checksum.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

/// What the parent has of this part is as large, and may be built on.
bool builds_on(const Manifest& parent, const std::string& part, std::uint64_t bytes, const NewCheckpoint& options) {
  if (std::ranges::find(options.full_parts, part) != options.full_parts.end()) return false;
  const PartDescription* below = parent.find_part(part);
  return below != nullptr && below->summary.content_bytes == bytes;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

}  // namespace

CheckpointWriter::CheckpointWriter(const NewCheckpoint& options)
    : fresh_(options.repository),
      store_(create_store(options.repository, options.known)),
      draft_(store_->draft(options.parent, Parents::kListed, options.expected_bytes)),
      parent_(options.parent) {
  look_for_room(options);
  create_parts(options);
}

// Of a store that is no directory nobody knows.
void CheckpointWriter::look_for_room(const NewCheckpoint& options) {
  const auto beside = options.most_bytes != 0 ? store_->place_beside(id()) : std::nullopt;
  if (!beside) return;
  const std::uint64_t bytes = free_bytes(beside->parent_path());
  if (bytes >= options.most_bytes) return;
  concern_ = fmt::format("{} has {} MiB free, and checkpoint {} may come to need {} MiB: make room, or it may fail",
                         store_->name(), bytes >> 20, id(), (options.most_bytes >> 20) + 1);
}

void CheckpointWriter::create_parts(const NewCheckpoint& options) {
  const Manifest nothing;  // with no parts
  const Manifest& parent = draft_->parent() ? *draft_->parent() : nothing;
  if (parent_ && parent.machine.memory != options.memory_bytes) {
    throw ParentGone(
        "checkpoint {} is of a machine with {} bytes of memory, and nothing of another size can build on it", parent.id,
        parent.machine.memory);
  }
  const auto create = [&](PartKind kind, const std::string& name, std::uint64_t bytes) {
    const auto output = draft_->create(checkpoint_files::part_file(name), bytes);
    if (options.rewrites && kind == PartKind::kMemory) output->expect_erasures();
    return std::make_unique<PartWriter>(
        output, PartOptions{kind, bytes, options.compression, builds_on(parent, name, bytes, options)});
  };
  memory_ = create(PartKind::kMemory, checkpoint_files::kMemoryName, options.memory_bytes);
  for (const DiskDescription& disk : options.disks)
    disks_.push_back({disk.id, create(PartKind::kDisk, disk.id, disk.size)});
}

PartWriter& CheckpointWriter::disk_part(std::string_view id) {
  const auto found = std::ranges::find(disks_, id, &DiskPart::id);
  check(found != disks_.end(), "the checkpoint was begun with this disk");
  return *found->part;
}

void CheckpointWriter::write_state(std::span<const NamedState> states) {
  const auto bytes = encode_states(states);
  draft_->put(checkpoint_files::kState, bytes);
  state_ = {0, bytes.size(), checksum_of(bytes), 0};
}

void CheckpointWriter::sync() {
  for (PartWriter* part : parts())
    if (!part->finished()) part->finish();
  for (PartWriter* part : parts()) part->start_writeback();
  for (PartWriter* part : parts()) part->finish_writeback();
  synced_ = true;
}

Manifest CheckpointWriter::seal(Manifest manifest) {
  check(synced_ && state_.file_bytes != 0, "a checkpoint is sealed with its state written and its parts synced");
  manifest.report.repository = store_->name();
  manifest.report.vm = manifest.vm;
  manifest.format = kManifestFormat;
  manifest.identity = manifest.report.identity = identity_;
  manifest.parent = manifest.report.parent = parent_ ? parent_->id : 0;
  manifest.parent_identity = parent_ ? std::optional(parent_->identity) : std::nullopt;
  manifest.host = host_name();
  manifest.tintype_version = TINTYPE_VERSION;
  if (manifest.time.empty()) manifest.time = utc_time_text();
  manifest.parts = describe_parts();
  const auto sync_parts = [this] {
    for (PartWriter* part : parts()) part->sync();
  };
  draft_->seal(manifest, sync_parts, {});
  return manifest;
}

std::vector<PartWriter*> CheckpointWriter::parts() {
  std::vector<PartWriter*> parts{memory_.get()};
  for (const DiskPart& disk : disks_) parts.push_back(disk.part.get());
  return parts;
}

std::vector<PartDescription> CheckpointWriter::describe_parts() const {
  std::vector<PartDescription> parts;
  parts.push_back({checkpoint_files::kStateName, checkpoint_files::kState, state_});
  parts.push_back({checkpoint_files::kMemoryName, checkpoint_files::kMemory, memory_->summary()});
  for (const DiskPart& disk : disks_)
    parts.push_back({disk.id, checkpoint_files::part_file(disk.id), disk.part->summary()});
  return parts;
}

void CheckpointWriter::abandon() noexcept { draft_->abandon(); }

}  // namespace tintype

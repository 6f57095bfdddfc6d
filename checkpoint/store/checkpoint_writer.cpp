// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/checkpoint_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/store/space.h"
#include "vmm/base/checksum.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

PendingCheckpoint begin(const NewCheckpoint& options) {
  Repository repository = Repository::create(options.repository);
  if (options.expected_bytes != 0) require_space(repository.path(), options.expected_bytes, "the checkpoint");
  return repository.begin();
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

void write_small_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  try {
    const UniqueFd fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    write_exactly(fd.get(), bytes, 0, path.string());
    sync_file(fd.get(), path.string());
  } catch (const std::system_error& error) {
    if (error.code().value() == ENOSPC || error.code().value() == EDQUOT) {
      throw DestinationFull(
          "the destination is full: {} could not be written; make room, or choose another destination", path.string());
    }
    throw;
  }
}

}  // namespace

CheckpointWriter::CheckpointWriter(const NewCheckpoint& options)
    : pending_(begin(options)),
      memory_(std::make_unique<PartWriter>(directory() / checkpoint_files::kMemory,
                                           PartOptions{PartKind::kMemory, options.memory_bytes, options.compression})) {
  for (const DiskDescription& disk : options.disks) {
    disks_.push_back(
        {disk.id, std::make_unique<PartWriter>(directory() / checkpoint_files::part_file(disk.id),
                                               PartOptions{PartKind::kDisk, disk.size, options.compression})});
  }
}

PartWriter& CheckpointWriter::disk_part(std::string_view id) {
  const auto found = std::ranges::find(disks_, id, &DiskPart::id);
  check(found != disks_.end(), "the checkpoint was begun with this disk");
  return *found->part;
}

void CheckpointWriter::write_state(std::span<const NamedState> states) {
  const auto bytes = encode_states(states);
  write_small_file(directory() / checkpoint_files::kState, bytes);
  state_ = {0, bytes.size(), checksum_of(bytes), 0};
}

void CheckpointWriter::sync() {
  if (!memory_->finished()) memory_->finish();
  for (const DiskPart& disk : disks_) {
    if (!disk.part->finished()) disk.part->finish();
  }
  memory_->sync();
  for (const DiskPart& disk : disks_) disk.part->sync();
  synced_ = true;
}

Manifest CheckpointWriter::seal(Manifest manifest) {
  check(synced_ && state_.file_bytes != 0, "a checkpoint is sealed with its state written and its parts synced");
  manifest.id = manifest.report.id = id();
  manifest.report.repository = directory().parent_path().string();
  manifest.report.vm = manifest.vm;
  manifest.report.parent = manifest.parent;
  manifest.host = host_name();
  manifest.tintype_version = TINTYPE_VERSION;
  if (manifest.time.empty()) manifest.time = utc_time_text();
  manifest.parts = describe_parts();
  const std::string text = encode_manifest(manifest);
  write_small_file(directory() / checkpoint_files::kManifest, std::as_bytes(std::span(text)));
  pending_.seal();
  return manifest;
}

std::vector<PartDescription> CheckpointWriter::describe_parts() const {
  std::vector<PartDescription> parts;
  parts.push_back({checkpoint_files::kStateName, checkpoint_files::kState, state_});
  parts.push_back({checkpoint_files::kMemoryName, checkpoint_files::kMemory, memory_->summary()});
  for (const DiskPart& disk : disks_)
    parts.push_back({disk.id, checkpoint_files::part_file(disk.id), disk.part->summary()});
  return parts;
}

void CheckpointWriter::abandon() noexcept { pending_.abandon(); }

}  // namespace tintype

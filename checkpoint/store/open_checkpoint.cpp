// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/open_checkpoint.h"

#include "checkpoint/format/checkpoint_files.h"
#include "vmm/base/checksum.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaximumManifestBytes = 1 << 20;

}  // namespace

Manifest read_manifest(const CheckpointFolder& folder, std::uint64_t id) {
  const auto file = folder.open(checkpoint_files::kManifest);
  const auto bytes = read_all(*file, kMaximumManifestBytes);
  Manifest manifest =
      decode_manifest(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), file->name());
  if (manifest.id != id)
    throw ImageError("{} is the manifest of checkpoint {}, not of {}", file->name(), manifest.id, id);
  return manifest;
}

Manifest read_manifest(const fs::path& directory, std::uint64_t id) {
  return read_manifest(DirectoryFolder(directory), id);
}

void check_machine(const Manifest& manifest) {
  const MachineDescription& machine = manifest.machine;
  const PartDescription* memory = manifest.find_part(checkpoint_files::kMemoryName);
  if (memory == nullptr || memory->summary.content_bytes != machine.memory) {
    throw ImageError("checkpoint {} does not hold the {} bytes of memory that its machine has", manifest.id,
                     machine.memory);
  }
  for (const DiskDescription& disk : machine.disks) {
    const PartDescription* part = manifest.find_part(disk.id);
    if (part == nullptr || part->summary.content_bytes != disk.size)
      throw ImageError("checkpoint {} does not hold the {} bytes of {}", manifest.id, disk.size, disk.id);
  }
  const std::size_t others = manifest.find_part(checkpoint_files::kStateName) == nullptr ? 1 : 2;
  if (manifest.parts.size() != machine.disks.size() + others)
    throw ImageError("checkpoint {} has a part for a disk that its machine has not", manifest.id);
}

std::vector<NamedState> read_states(const CheckpointFolder& folder, const Manifest& manifest) {
  const PartDescription* part = manifest.find_part(checkpoint_files::kStateName);
  if (part == nullptr) throw ImageError("checkpoint {} has no machine state", manifest.id);
  const auto file = folder.open(part->file);
  return decode_states(read_state_file(*file, *part), file->name());
}

std::vector<std::byte> read_state_file(const ByteSource& file, const PartDescription& description) {
  if (file.size() != description.summary.file_bytes || file.size() > kMaximumStateBytes)
    throw ImageError("{} has {} bytes instead of {}", file.name(), file.size(), description.summary.file_bytes);
  std::vector<std::byte> bytes = read_all(file, kMaximumStateBytes);
  if (checksum_of(bytes) != description.summary.checksum)
    throw ImageError("{} is damaged, or belongs to another checkpoint", file.name());
  return bytes;
}

std::vector<NamedState> read_states(const fs::path& directory, const Manifest& manifest) {
  return read_states(DirectoryFolder(directory), manifest);
}

std::unique_ptr<PartReader> open_part(const CheckpointFolder& folder, const PartDescription& description,
                                      PartKind kind) {
  auto part = std::make_unique<PartReader>(folder.open(description.file));
  check_part(*part, description, kind);
  return part;
}

void check_part(const PartReader& part, const PartDescription& description, PartKind kind) {
  if (part.summary() != description.summary)
    throw ImageError("{} is not the one that belongs to this checkpoint", part.path().string());
  if (part.kind() != kind) throw ImageError("{} is a part of the wrong kind", part.path().string());
}

}  // namespace tintype

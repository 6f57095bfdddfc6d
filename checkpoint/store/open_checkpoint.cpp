// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/open_checkpoint.h"

#include <fcntl.h>

#include "checkpoint/format/checkpoint_files.h"
#include "vmm/base/checksum.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaximumManifestBytes = 1 << 20;

void require_file(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) throw ImageError("{} is missing: the checkpoint is not whole", path.string());
}

}  // namespace

Manifest read_manifest(const fs::path& directory, std::uint64_t id) {
  const fs::path path = directory / checkpoint_files::kManifest;
  require_file(path);
  Manifest manifest = decode_manifest(read_text_file(path, kMaximumManifestBytes), path.string());
  if (manifest.id != id)
    throw ImageError("{} is the manifest of checkpoint {}, not of {}", path.string(), manifest.id, id);
  return manifest;
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

std::vector<NamedState> read_states(const fs::path& directory, const Manifest& manifest) {
  const PartDescription* part = manifest.find_part(checkpoint_files::kStateName);
  if (part == nullptr) throw ImageError("checkpoint {} has no machine state", manifest.id);
  const fs::path path = directory / part->file;
  require_file(path);
  const UniqueFd fd = open_file(path, O_RDONLY);
  const std::uint64_t size = file_size(fd.get(), path.string());
  if (size != part->summary.file_bytes || size > kMaximumStateBytes) {
    throw ImageError("{} has {} bytes instead of {}", path.string(), size, part->summary.file_bytes);
  }
  std::vector<std::byte> bytes(size);
  read_exactly(fd.get(), bytes, 0, path.string());
  if (checksum_of(bytes) != part->summary.checksum)
    throw ImageError("{} is damaged, or belongs to another checkpoint", path.string());
  return decode_states(bytes, path.string());
}

std::unique_ptr<PartReader> open_part(const fs::path& directory, const PartDescription& description, PartKind kind) {
  const fs::path path = directory / description.file;
  require_file(path);
  auto part = std::make_unique<PartReader>(path);
  if (part->summary() != description.summary)
    throw ImageError("{} is not the one that belongs to this checkpoint", path.string());
  if (part->kind() != kind) throw ImageError("{} is a part of the wrong kind", path.string());
  return part;
}

}  // namespace tintype

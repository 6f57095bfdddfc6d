// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/export.h"

#include <vector>

#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/flat_copy.h"
#include "checkpoint/store/space.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

std::vector<FlatPlacement> memory_layout(const MachineDescription& machine) {
  std::vector<FlatPlacement> layout;
  for (const RegionDescription& region : machine.regions) {
    layout.push_back({region.first_block, region.first_block + region.size / kBlockSize, region.start});
  }
  return layout;
}

ExportedFile export_part(const BlockSource& part, std::span<const FlatPlacement> layout, const fs::path& file,
                         std::uint64_t bytes, ImageFormat format, const ProgressSink& progress) {
  const fs::path name = replaceable_name(file);
  DiskImageFile output(name, bytes, format);
  require_space(name.has_parent_path() ? name.parent_path() : ".", part.data_blocks() * kBlockSize, part.name());
  const std::uint64_t written = copy_flat(part, layout, output, progress);
  return {name, output.replace(), written};
}

}  // namespace

ExportedFile export_memory(const fs::path& repository, std::optional<std::uint64_t> id, const fs::path& file,
                           const ProgressSink& progress) {
  const CheckpointReader reader(repository, id);
  reader.require(Portion::kMemory);
  const MachineDescription& machine = reader.manifest().machine;
  const std::uint64_t end = machine.regions.empty() ? 0 : machine.regions.back().start + machine.regions.back().size;
  return export_part(reader.memory(), memory_layout(machine), file, end, ImageFormat::kRaw, progress);
}

ExportedFile export_disk(const fs::path& repository, std::optional<std::uint64_t> id, const std::string& disk,
                         const fs::path& file, const ProgressSink& progress, ImageFormat format) {
  const CheckpointReader reader(repository, id);
  const BlockSource& part = reader.require_disk(disk);
  const FlatPlacement whole = whole_part(part);
  return export_part(part, std::span(&whole, 1), file, part.content_bytes(), format, progress);
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/image/export.h"

#include <algorithm>

#include "checkpoint/image/checkpoint_reader.h"
#include "checkpoint/image/sparse_file.h"

namespace tintype {
namespace {

/// Blocks of a part that lie one after the other in the exported file too.
struct Placement {
  std::uint64_t first_block = 0, end_block = 0, offset = 0;
};

std::vector<Placement> memory_layout(const MachineDescription& machine) {
  std::vector<Placement> layout;
  for (const RegionDescription& region : machine.regions) {
    layout.push_back({region.first_block, region.first_block + region.size / kBlockSize, region.start});
  }
  return layout;
}

class Export {
 public:
  Export(const PartReader& part, const std::filesystem::path& path, std::uint64_t bytes, const ProgressSink& progress)
      : part_(part), file_(path, bytes), bytes_(bytes), progress_(progress) {}

  ExportedFile run(std::span<const Placement> layout) {
    std::vector<std::byte> buffer;
    for (const Extent& extent : part_.extents()) {
      if (extent.zero) continue;
      buffer.resize(extent.data_bytes());
      part_.read_extent(extent, buffer);
      for (const Placement& placement : layout) write(extent, placement, buffer);
      report();
    }
    file_.finish();
    return {file_.path(), bytes_, written_};
  }

 private:
  /// What of the extent belongs into this stretch of the file, up to where the file ends.
  void write(const Extent& extent, const Placement& placement, std::span<const std::byte> data) {
    const std::uint64_t first = std::max(extent.first_block, placement.first_block);
    const std::uint64_t end = std::min(extent.end_block(), placement.end_block);
    if (first >= end) return;
    const std::uint64_t offset = placement.offset + (first - placement.first_block) * kBlockSize;
    const std::uint64_t count = std::min((end - first) * kBlockSize, bytes_ - offset);
    file_.write(offset, data.subspan((first - extent.first_block) * kBlockSize, count));
    written_ += count;
  }

  void report() {
    constexpr std::uint64_t kStep = 32 << 20;
    if (!progress_ || written_ < reported_ + kStep) return;
    reported_ = written_;
    progress_({part_.path().stem().string(), written_, part_.summary().data_blocks * kBlockSize});
  }

  const PartReader& part_;
  SparseFile file_;
  std::uint64_t bytes_;
  const ProgressSink& progress_;
  std::uint64_t written_ = 0, reported_ = 0;
};

}  // namespace

ExportedFile export_memory(const std::filesystem::path& repository, std::optional<std::uint64_t> id,
                           const std::filesystem::path& file, const ProgressSink& progress) {
  const CheckpointReader reader(repository, id);
  const MachineDescription& machine = reader.manifest().machine;
  const std::uint64_t end = machine.regions.empty() ? 0 : machine.regions.back().start + machine.regions.back().size;
  return Export(reader.memory(), file, end, progress).run(memory_layout(machine));
}

ExportedFile export_disk(const std::filesystem::path& repository, std::optional<std::uint64_t> id,
                         const std::string& disk, const std::filesystem::path& file, const ProgressSink& progress) {
  const CheckpointReader reader(repository, id);
  const PartReader* part = reader.disk(disk);
  if (part == nullptr) {
    throw Error("checkpoint {} has no disk {}; tintype show names those that it has", reader.manifest().id, disk);
  }
  const Placement whole{0, part->blocks(), 0};
  return Export(*part, file, part->content_bytes(), progress).run(std::span(&whole, 1));
}

}  // namespace tintype

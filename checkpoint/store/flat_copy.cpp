// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/flat_copy.h"

#include <algorithm>
#include <vector>

namespace tintype {
namespace {

class FlatCopy {
 public:
  FlatCopy(const PartReader& part, SparseFile& file, const std::string& phase, const ProgressSink& progress)
      : part_(part), file_(file), phase_(phase), progress_(progress) {}

  std::uint64_t run(std::span<const Placement> layout) {
    std::vector<std::byte> buffer;
    for (const Extent& extent : part_.extents()) {
      if (extent.zero) continue;
      buffer.resize(extent.data_bytes());
      part_.read_extent(extent, buffer);
      for (const Placement& placement : layout) write(extent, placement, buffer);
      report();
    }
    return written_;
  }

 private:
  /// What of the extent belongs into this stretch of the file, up to where the file ends.
  void write(const Extent& extent, const Placement& placement, std::span<const std::byte> data) {
    const std::uint64_t first = std::max(extent.first_block, placement.first_block);
    const std::uint64_t end = std::min(extent.end_block(), placement.end_block);
    if (first >= end) return;
    const std::uint64_t offset = placement.offset + (first - placement.first_block) * kBlockSize;
    const std::uint64_t count = std::min((end - first) * kBlockSize, file_.size() - offset);
    file_.write(offset, data.subspan((first - extent.first_block) * kBlockSize, count));
    written_ += count;
  }

  void report() {
    constexpr std::uint64_t kStep = 8 << 20;
    if (!progress_ || written_ < reported_ + kStep) return;
    reported_ = written_;
    progress_({phase_, written_, part_.summary().data_blocks * kBlockSize});
  }

  const PartReader& part_;
  SparseFile& file_;
  const std::string& phase_;
  const ProgressSink& progress_;
  std::uint64_t written_ = 0, reported_ = 0;
};

}  // namespace

Placement whole_part(const PartReader& part) { return {0, part.blocks(), 0}; }

std::uint64_t copy_flat(const PartReader& part, std::span<const Placement> layout, SparseFile& file,
                        const std::string& phase, const ProgressSink& progress) {
  if (progress) progress({phase, 0, part.summary().data_blocks * kBlockSize});
  return FlatCopy(part, file, phase, progress).run(layout);
}

}  // namespace tintype

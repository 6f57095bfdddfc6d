// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/flat_copy.h"

#include <algorithm>
#include <vector>

namespace tintype {
namespace {

class FlatCopy {
 public:
  FlatCopy(const BlockSource& source, FlatFile& file, const ProgressSink& progress)
      : source_(source), file_(file), progress_(progress) {}

  std::uint64_t run(std::span<const FlatPlacement> layout) {
    std::vector<BlockSource::Run> runs;
    std::vector<std::byte> buffer;
    for (std::size_t number = 0; number < source_.extent_count(); ++number) {
      source_.runs_in(number, runs);
      if (runs.empty()) continue;
      const Extent& extent = source_.extent(number);
      buffer.resize(extent.data_bytes());
      source_.read_extent(number, buffer);
      for (const BlockSource::Run& run : runs) {
        const auto data = std::span(buffer).subspan((run.first_block - extent.first_block) * kBlockSize);
        for (const FlatPlacement& placement : layout) write(run, placement, data);
      }
      report();
    }
    return written_;
  }

 private:
  /// What of the run belongs into this stretch of the file, up to where the file ends.
  void write(const BlockSource::Run& run, const FlatPlacement& placement, std::span<const std::byte> data) {
    const std::uint64_t first = std::max(run.first_block, placement.first_block);
    const std::uint64_t end = std::min(run.end_block(), placement.end_block);
    if (first >= end) return;
    const std::uint64_t offset = placement.offset + (first - placement.first_block) * kBlockSize;
    const std::uint64_t count = std::min((end - first) * kBlockSize, file_.size() - offset);
    file_.write(offset, data.subspan((first - run.first_block) * kBlockSize, count));
    written_ += count;
  }

  void report() {
    constexpr std::uint64_t kStep = 8 << 20;
    if (!progress_ || written_ < reported_ + kStep) return;
    reported_ = written_;
    progress_({source_.name(), written_, source_.data_blocks() * kBlockSize});
  }

  const BlockSource& source_;
  FlatFile& file_;
  const ProgressSink& progress_;
  std::uint64_t written_ = 0, reported_ = 0;
};

}  // namespace

FlatPlacement whole_part(const BlockSource& part) { return {0, part.blocks(), 0}; }

std::uint64_t copy_flat(const BlockSource& source, std::span<const FlatPlacement> layout, FlatFile& file,
                        const ProgressSink& progress) {
  if (progress) progress({source.name(), 0, source.data_blocks() * kBlockSize});
  return FlatCopy(source, file, progress).run(layout);
}

}  // namespace tintype

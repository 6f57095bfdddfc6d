// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/part_merge.h"

#include <algorithm>
#include <limits>

#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

std::vector<const PartReader*> pointers(std::span<const std::unique_ptr<PartReader>> parts) {
  std::vector<const PartReader*> readers;
  for (const auto& part : parts) readers.push_back(part.get());
  return readers;
}

/// That of what is compressed: what is split is compressed again.
Compression codec_of(std::span<const PartReader* const> parts) {
  for (const PartReader* part : parts) {
    for (const Extent& extent : part->extents())
      if (extent.codec != Compression::kNone) return extent.codec;
  }
  return Compression::kNone;
}

PartOptions options_for(std::span<const PartReader* const> parts) {
  return {parts.front()->kind(), parts.front()->content_bytes(), codec_of(parts), parts.back()->incremental()};
}

}  // namespace

PartMerge::PartMerge(std::span<const std::unique_ptr<PartReader>> parts, std::shared_ptr<PartOutput> output)
    : parts_(pointers(parts)), writer_(std::move(output), options_for(parts_)), held_(kNone) {}

PartSummary PartMerge::run(const Tell& tell) {
  auto runs = resolve_parts(parts_);
  std::ranges::stable_sort(runs, {}, &ResolvedRun::extent);  // so that each extent is read once
  std::uint64_t done = 0, total = 0;
  for (const ResolvedRun& run : runs) total += run.zero ? 0 : run.blocks * kBlockSize;
  for (const ResolvedRun& run : runs) {
    put(run);
    done += run.zero ? 0 : run.blocks * kBlockSize;
    if (tell) tell(done, total);
  }
  writer_.finish();
  writer_.sync();
  return writer_.summary();
}

void PartMerge::put(const ResolvedRun& run) {
  if (run.zero) {
    writer_.append_zeros(run.first_block, run.blocks);
    return;
  }
  const Extent* extent = nullptr;
  const PartReader& part = find(run.extent, extent);
  if (run.blocks == extent->blocks) {
    held_ = kNone;
    buffer_.resize(extent->stored_bytes);
    part.read_stored(*extent, buffer_);
    writer_.append_stored(*extent, buffer_);
    return;
  }
  if (held_ != run.extent) {
    buffer_.resize(extent->data_bytes());
    part.read_extent(*extent, buffer_);
    held_ = run.extent;
  }
  writer_.append(run.first_block, std::span(buffer_).subspan((run.first_block - extent->first_block) * kBlockSize,
                                                             run.blocks * kBlockSize));
}

const PartReader& PartMerge::find(std::size_t number, const Extent*& extent) const {
  for (const PartReader* part : parts_) {
    if (number < part->extents().size()) {
      extent = &part->extents()[number];
      return *part;
    }
    number -= part->extents().size();
  }
  check(false, "an extent that was resolved is there");
  std::abort();
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "devices/block/live_commit.h"

#include <utility>

namespace tintype {
namespace {

constexpr std::size_t kLooksPerChunk = 512;  ///< bounds the time that the disk's mutex is held
constexpr std::size_t kExtentsPerChunk = 128;

/// What is left of `range` when `holes` are taken out.
std::vector<SectorRange> subtract(const SectorRange& range, const std::vector<SectorRange>& holes) {
  RangeSet left;
  left.insert(range);
  for (const SectorRange& hole : holes) left.erase(hole);
  std::vector<SectorRange> result;
  for (auto part = left.at_or_after(0); part; part = left.at_or_after(part->end)) result.push_back(*part);
  return result;
}

void add_overlaps(const RangeSet& set, const SectorRange& range, std::vector<SectorRange>& into) {
  for (auto part = set.at_or_after(range.start); part && part->start < range.end; part = set.at_or_after(part->end))
    into.push_back(*part);
}

}  // namespace

void LiveCommit::route(const SectorRange& range, std::vector<Part>& into) {
  std::uint64_t at = range.start;
  while (at < range.end) {
    const auto extent = index_->at_or_after(at);
    if (!extent || extent->range.start >= range.end) {
      into.push_back({{at, range.end}, Target::kBase});
      return;
    }
    if (extent->range.start > at) into.push_back({{at, extent->range.start}, Target::kBase});
    const SectorRange held = intersection(extent->range, range);
    std::vector<SectorRange> copied;
    for (const SectorRange& copying : copying_) {
      if (copying.overlaps(held)) copied.push_back(intersection(copying, held));
    }
    for (const SectorRange& part : subtract(held, copied)) into.push_back({part, Target::kBoth});
    for (const SectorRange& part : copied) {
      into.push_back({part, Target::kLog});
      overwritten_.insert(part);
    }
    at = held.end;
  }
}

void LiveCommit::mirrored(const SectorRange& range, bool succeeded) {
  if (!succeeded) {
    mirrored_.erase(range);
    settling_ = false;
    return;
  }
  for (auto held = index_->at_or_after(range.start); held && held->range.start < range.end;
       held = index_->at_or_after(held->range.end)) {
    mirrored_.insert(intersection(held->range, range));
  }
}

LiveCommit::Chunk LiveCommit::next_chunk(std::uint64_t& cursor, std::uint64_t limit, const Busy& busy) {
  Chunk chunk;
  for (std::size_t looks = 0;
       looks < kLooksPerChunk && chunk.sectors < limit && chunk.extents.size() < kExtentsPerChunk; ++looks) {
    const auto extent = index_->at_or_after(cursor);
    if (!extent) {
      cursor = kEnd;
      break;
    }
    ExtentIndex::Extent part = *extent;
    part.range.end = std::min(part.range.end, part.range.start + (limit - chunk.sectors));
    add_parts(chunk, part, busy);
    cursor = part.range.end;
  }
  for (const ExtentIndex::Extent& extent : chunk.extents) copying_.push_back(extent.range);
  return chunk;
}

void LiveCommit::add_parts(Chunk& chunk, const ExtentIndex::Extent& extent, const Busy& busy) {
  std::vector<SectorRange> left_alone = busy(extent.range);
  add_overlaps(mirrored_, extent.range, left_alone);
  for (const SectorRange& part : subtract(extent.range, left_alone)) {
    chunk.extents.push_back(extent.cut_to(part));
    chunk.sectors += part.count();
  }
}

void LiveCommit::chunk_copied() {
  for (const SectorRange& copied : copying_) {
    std::vector<SectorRange> stale;
    add_overlaps(overwritten_, copied, stale);
    for (const SectorRange& part : subtract(copied, stale)) mirrored_.insert(part);
  }
  copying_.clear();
  overwritten_.clear();
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "devices/block/sectors.h"

#include <iterator>
#include <vector>

namespace tintype {

void RangeSet::insert(SectorRange range) {
  if (range.empty()) return;
  auto next = ranges_.lower_bound(range.start);
  if (next != ranges_.begin() && std::prev(next)->second >= range.start) --next;
  while (next != ranges_.end() &&
         next->first <= range.end) {  // overlapping or touching ones become part of the new one
    range.start = std::min(range.start, next->first);
    range.end = std::max(range.end, next->second);
    sectors_ -= next->second - next->first;
    next = ranges_.erase(next);
  }
  ranges_.emplace_hint(next, range.start, range.end);
  sectors_ += range.count();
}

void RangeSet::erase(const SectorRange& range) {
  if (range.empty()) return;
  auto next = ranges_.upper_bound(range.start);
  if (next != ranges_.begin() && std::prev(next)->second > range.start) --next;
  while (next != ranges_.end() && next->first < range.end) {
    const SectorRange old{next->first, next->second};
    next = ranges_.erase(next);
    sectors_ -= intersection(old, range).count();
    if (old.start < range.start) ranges_.emplace_hint(next, old.start, range.start);
    if (old.end > range.end) next = ranges_.emplace_hint(next, range.end, old.end);
  }
}

void RangeSet::clear() noexcept {
  ranges_.clear();
  sectors_ = 0;
}

bool RangeSet::overlaps(const SectorRange& range) const noexcept {
  const auto first = at_or_after(range.start);
  return first && first->start < range.end;
}

std::optional<SectorRange> RangeSet::at_or_after(std::uint64_t sector) const noexcept {
  auto next = ranges_.upper_bound(sector);
  if (next != ranges_.begin() && std::prev(next)->second > sector) --next;
  if (next == ranges_.end()) return std::nullopt;
  return SectorRange{std::max(next->first, sector), next->second};
}

ExtentIndex::Extent ExtentIndex::Extent::cut_to(const SectorRange& part) const noexcept {
  const SectorRange left = intersection(range, part);
  return {left, position == kNoRoom ? kNoRoom : position + (left.start - range.start), zeros};
}

ExtentIndex::Extent ExtentIndex::extent_of(const std::pair<const std::uint64_t, Tail>& entry) noexcept {
  return {{entry.first, entry.second.end}, entry.second.position, entry.second.zeros};
}

void ExtentIndex::put(const Extent& extent) {
  const SectorRange& range = extent.range;
  if (range.empty()) return;
  erase(range);
  sectors_ += range.count();
  const auto next = extents_.lower_bound(range.start);
  if (next != extents_.begin()) {  // data appended in order grows the extent before it
    auto& [start, tail] = *std::prev(next);
    const bool both_without = tail.position == kNoRoom && extent.position == kNoRoom;
    const bool adjoins =
        both_without || (tail.position != kNoRoom && tail.position + (tail.end - start) == extent.position);
    if (tail.end == range.start && tail.zeros == extent.zeros && adjoins) {
      tail.end = range.end;
      return;
    }
  }
  extents_.emplace_hint(next, range.start, Tail{range.end, extent.position, extent.zeros});
}

void ExtentIndex::insert_zeros(const SectorRange& range) {
  std::vector<Extent> parts;
  for (std::uint64_t at = range.start; at < range.end;) {
    const auto held = at_or_after(at);
    const std::uint64_t held_from = held ? std::min(held->range.start, range.end) : range.end;
    if (held_from > at) parts.push_back({{at, held_from}, kNoRoom, true});
    if (held_from == range.end) break;
    parts.push_back(held->cut_to(range));
    parts.back().zeros = true;
    at = parts.back().range.end;
  }
  for (const Extent& part : parts) put(part);
}

void ExtentIndex::erase(const SectorRange& range) {
  if (range.empty()) return;
  auto next = extents_.upper_bound(range.start);
  if (next != extents_.begin() && std::prev(next)->second.end > range.start) --next;
  while (next != extents_.end() && next->first < range.end) {
    const Extent old = extent_of(*next);
    next = extents_.erase(next);
    sectors_ -= intersection(old.range, range).count();
    for (const SectorRange& left : {SectorRange{old.range.start, range.start}, SectorRange{range.end, old.range.end}}) {
      if (left.empty()) continue;
      const Extent rest = old.cut_to(left);
      next = extents_.emplace_hint(next, rest.range.start, Tail{rest.range.end, rest.position, rest.zeros});
      ++next;
    }
  }
}

void ExtentIndex::clear() noexcept {
  extents_.clear();
  sectors_ = 0;
}

bool ExtentIndex::holds_only_zeros(const SectorRange& range) const noexcept {
  for (std::uint64_t at = range.start; at < range.end;) {
    const auto extent = at_or_after(at);
    if (!extent || extent->range.start > at || !extent->zeros) return false;
    at = extent->range.end;
  }
  return true;
}

std::optional<ExtentIndex::Extent> ExtentIndex::at_or_after(std::uint64_t sector) const noexcept {
  auto next = extents_.upper_bound(sector);
  if (next != extents_.begin() && std::prev(next)->second.end > sector) --next;
  if (next == extents_.end()) return std::nullopt;
  const Extent extent = extent_of(*next);
  return extent.cut_to({sector, extent.range.end});
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "devices/block/sectors.h"

#include <iterator>

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

void ExtentIndex::insert(const SectorRange& range, std::uint64_t position) {
  if (range.empty()) return;
  erase(range);
  sectors_ += range.count();
  const auto next = extents_.lower_bound(range.start);
  if (next != extents_.begin()) {  // data appended in order grows the extent before it
    auto& [start, tail] = *std::prev(next);
    if (tail.end == range.start && tail.position + (tail.end - start) == position) {
      tail.end = range.end;
      return;
    }
  }
  extents_.emplace_hint(next, range.start, Tail{range.end, position});
}

void ExtentIndex::erase(const SectorRange& range) {
  if (range.empty()) return;
  auto next = extents_.upper_bound(range.start);
  if (next != extents_.begin() && std::prev(next)->second.end > range.start) --next;
  while (next != extents_.end() && next->first < range.end) {
    const SectorRange old{next->first, next->second.end};
    const std::uint64_t position = next->second.position;
    next = extents_.erase(next);
    sectors_ -= intersection(old, range).count();
    if (old.start < range.start) extents_.emplace_hint(next, old.start, Tail{range.start, position});
    if (old.end > range.end) {
      next = extents_.emplace_hint(next, range.end, Tail{old.end, position + (range.end - old.start)});
    }
  }
}

void ExtentIndex::clear() noexcept {
  extents_.clear();
  sectors_ = 0;
}

std::optional<ExtentIndex::Extent> ExtentIndex::at_or_after(std::uint64_t sector) const noexcept {
  auto next = extents_.upper_bound(sector);
  if (next != extents_.begin() && std::prev(next)->second.end > sector) --next;
  if (next == extents_.end()) return std::nullopt;
  const auto& [start, tail] = *next;
  const std::uint64_t from = std::max(start, sector);
  return Extent{{from, tail.end}, tail.position + (from - start)};
}

}  // namespace tintype

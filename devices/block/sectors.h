// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace tintype {

/// Sectors [start, end) of a disk, 512 bytes each.
struct SectorRange {
  std::uint64_t start = 0, end = 0;

  bool empty() const noexcept { return start >= end; }
  std::uint64_t count() const noexcept { return end - start; }
  bool overlaps(const SectorRange& other) const noexcept { return start < other.end && other.start < end; }
  bool operator==(const SectorRange&) const = default;
};

inline SectorRange intersection(const SectorRange& a, const SectorRange& b) noexcept {
  return {std::max(a.start, b.start), std::min(a.end, b.end)};
}

/// A set of sectors, kept as the fewest possible ranges.
class RangeSet {
 public:
  void insert(SectorRange range);
  void erase(const SectorRange& range);
  void clear() noexcept;

  bool empty() const noexcept { return ranges_.empty(); }
  std::size_t range_count() const noexcept { return ranges_.size(); }
  std::uint64_t sector_count() const noexcept { return sectors_; }
  bool overlaps(const SectorRange& range) const noexcept;
  /// The first range that ends after `sector`, cut off so that it starts no earlier.
  std::optional<SectorRange> at_or_after(std::uint64_t sector) const noexcept;

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;  ///< start -> end
  std::uint64_t sectors_ = 0;
};

/// Which sectors of the disk a redo log holds, and where in its file.
class ExtentIndex {
 public:
  struct Extent {
    SectorRange range;
    std::uint64_t position = 0;  ///< of the first sector's data, in sectors from the start of the log file
  };

  /// The sectors of `range` now lie at `position` and after it, whatever was known of them before.
  void insert(const SectorRange& range, std::uint64_t position);
  void erase(const SectorRange& range);
  void clear() noexcept;

  bool empty() const noexcept { return extents_.empty(); }
  std::size_t extent_count() const noexcept { return extents_.size(); }
  std::uint64_t sector_count() const noexcept { return sectors_; }
  /// The first extent that ends after `sector`, cut off so that it starts no earlier.
  std::optional<Extent> at_or_after(std::uint64_t sector) const noexcept;

 private:
  struct Tail {
    std::uint64_t end = 0, position = 0;
  };
  std::map<std::uint64_t, Tail> extents_;  ///< start -> end and position; disjoint
  std::uint64_t sectors_ = 0;
};

}  // namespace tintype

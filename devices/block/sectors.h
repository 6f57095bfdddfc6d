// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

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

/// Which sectors of the disk a redo log holds, and where in its file. Sectors that hold nothing but zeros need no room
/// there; but where they had some they keep it, so that sectors which are written and discarded in turn do not make the
/// log grow.
class ExtentIndex {
 public:
  static constexpr std::uint64_t kNoRoom = 0;  ///< as a position

  struct Extent {
    SectorRange range;
    std::uint64_t position = kNoRoom;  ///< of the first sector's data or room, in sectors from the start of the file
    bool zeros = false;                ///< the room, if there is any, is not looked at

    /// The part of it that lies in `part`, which overlaps it.
    Extent cut_to(const SectorRange& part) const noexcept;
  };

  /// The sectors of `range` now lie at `position` and after it, whatever was known of them before.
  void insert(const SectorRange& range, std::uint64_t position) { put({range, position, false}); }
  /// The sectors of `range` are zeros now.
  void insert_zeros(const SectorRange& range);
  void erase(const SectorRange& range);
  void clear() noexcept;

  bool empty() const noexcept { return extents_.empty(); }
  std::size_t extent_count() const noexcept { return extents_.size(); }
  std::uint64_t sector_count() const noexcept { return sectors_; }
  /// It holds all of `range`, and knows it to be zeros.
  bool holds_only_zeros(const SectorRange& range) const noexcept;
  /// The first extent that ends after `sector`, cut off so that it starts no earlier.
  std::optional<Extent> at_or_after(std::uint64_t sector) const noexcept;

 private:
  struct Tail {
    std::uint64_t end = 0, position = kNoRoom;
    bool zeros = false;
  };
  static Extent extent_of(const std::pair<const std::uint64_t, Tail>& entry) noexcept;
  void put(const Extent& extent);

  std::map<std::uint64_t, Tail> extents_;  ///< by their starts; disjoint
  std::uint64_t sectors_ = 0;
};

}  // namespace tintype

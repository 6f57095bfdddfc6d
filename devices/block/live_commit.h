// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "devices/block/sectors.h"

namespace tintype {

/// Emptying the active log into the base below it, while the guest goes on writing. Pure bookkeeping: the
/// disk's mutex guards it, and others do the I/O.
///
/// Every sector is in one of these states, and only moves downwards:
///
///   held        only the log has the newest data. A write goes to the log *and* to the base, and makes the
///               sector mirrored.
///   copying     the committing thread copies it to the base just now. A write goes to the log alone (the copier
///               may overwrite the base with what it read before), and the copy does not count: the sector is
///               merely held again.
///   mirrored    log and base have the same data. Writes go to both, so it stays so.
///
/// A sector that the log does not hold is the base's. So the log never grows, a sector that is written again and again
/// is mirrored by being written, all others by being copied, and no write ever waits for a copy. Once all are mirrored
/// and the base has been synced, the log says nothing that the base does not: it can go, at once and as a whole. None
/// of that needs room in the log's file system.
class LiveCommit {
 public:
  explicit LiveCommit(ExtentIndex& index) : index_(&index) {}

  enum class Target : std::uint8_t { kBase, kLog, kBoth };
  struct Part {
    SectorRange range;
    Target target = Target::kBase;
  };
  /// Where a write (or a zeroing) to `range` goes. The caller is about to do it.
  void route(const SectorRange& range, std::vector<Part>& into);
  /// A write that went to both has finished in both, or has failed in one of them.
  void mirrored(const SectorRange& range, bool succeeded);

  // The committing thread's part.
  struct Chunk {
    std::vector<ExtentIndex::Extent> extents;
    std::uint64_t sectors = 0;
  };
  /// Picks what is to be copied next, from `cursor` on, and moves it. `busy` says which sectors a write is in
  /// flight to: they are left for later. An empty chunk means that the end of the disk is reached, or that
  /// there is much that needs no copy (then `cursor` is not at the end).
  using Busy = std::function<std::vector<SectorRange>(const SectorRange&)>;
  Chunk next_chunk(std::uint64_t& cursor, std::uint64_t limit, const Busy& busy);
  /// The chunk is in the base.
  void chunk_copied();
  /// True where all is mirrored; to be followed by a sync of the base.
  bool begin_settling() noexcept {
    settling_ = mirrored_.sector_count() == index_->sector_count();
    return settling_;
  }
  /// That sync has ended: nothing has come between, and the log is superfluous.
  bool settled() const noexcept { return settling_; }

  static constexpr std::uint64_t kEnd = ~std::uint64_t{0};  ///< cursor: the whole disk has been looked at

 private:
  void add_parts(Chunk& chunk, const ExtentIndex::Extent& extent, const Busy& busy);

  ExtentIndex* index_;
  RangeSet mirrored_;
  std::vector<SectorRange> copying_;
  RangeSet overwritten_;  ///< of copying_, by the guest
  bool settling_ = false;
};

}  // namespace tintype

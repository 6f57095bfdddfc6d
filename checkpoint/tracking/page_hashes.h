// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "checkpoint/tracking/chunks.h"
#include "checkpoint/tracking/residency.h"

namespace tintype {

/// What each page was in the last checkpoint that was kept, as a hash (xxh3-64): a page that was written to and came
/// out equal need not be saved again. Hashes of the checkpoint under way count once it is kept.
///
/// 16 bytes a page, from the first checkpoint on. One thread at a time.
class PageHashes {
 public:
  using Changed = std::function<void(std::uint64_t first_page, std::uint64_t count)>;

  explicit PageHashes(const ChunkTable& chunks) : chunks_(chunks) {}

  /// Of these pages of the chunk, calls `changed` for each run of those that are not as they were in the last
  /// checkpoint; with `all`, and of pages that nothing is known of, for each. `contents` is the chunk's memory, of
  /// which only these pages are looked at. Pages that are not resident are zero. Returns how many are known to be
  /// another than they were.
  std::uint64_t compare(std::size_t chunk, std::span<const std::byte> contents, const PageSet& pages,
                        const Residency& residency, bool all, const Changed& changed);

  /// What compare() has seen since the last keep() or forget() is the last checkpoint's now.
  void keep() noexcept;
  /// Or nobody's.
  void forget() noexcept { pending_.clear(); }

  /// Another checkpoint is the one that the next one builds on: nothing is known of any page any more,
  void know_nothing() noexcept { last_.clear(); }
  /// and then, chunk by chunk, what they are in that one.
  void know(std::size_t chunk, std::span<const std::byte> contents);

 private:
  const ChunkTable& chunks_;
  std::vector<std::uint64_t> last_, next_;  ///< by page; empty before the first checkpoint
  std::vector<std::size_t> pending_;        ///< chunks whose next_ counts once it is kept
};

}  // namespace tintype

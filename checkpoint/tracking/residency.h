// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "checkpoint/tracking/chunks.h"
#include "checkpoint/tracking/page_map.h"
#include "checkpoint/tracking/page_set.h"

namespace tintype {

/// Which pages of guest memory the host holds anything for, at one moment. The others were never touched: they read as
/// zero, write protection passes over them without a word (userfaultfd leaves absent pages alone), and a first write to
/// one is not seen. So they must be known.
///
/// Pages come, and never go. So the first picture is of all memory, and later ones look only at the chunks that had
/// pages missing: a machine that has touched all of its memory costs nothing in the pause.
class Residency {
 public:
  explicit Residency(const ChunkTable& chunks);

  /// Called for each chunk with pages that the picture before did not have; for some more than once.
  using Came = std::function<void(std::size_t chunk)>;

  /// Guest running: a picture, and a list of the chunks that the next one must look at. May take milliseconds.
  void scan(const Came& came = [](std::size_t) {});
  /// In the pause: what has come since. Allocates nothing.
  void update(const Came& came);

  const PageSet& pages() const noexcept { return pages_; }
  bool resident(std::uint64_t page) const noexcept { return pages_.contains(page); }
  /// How many pages are resident.
  std::uint64_t count() const noexcept { return pages_.count(); }
  /// True where at least one page of the chunk is resident.
  bool any(std::size_t chunk) const noexcept { return pages_.any(chunks_[chunk].first_page, chunks_[chunk].pages); }
  bool all(std::size_t chunk) const noexcept { return pages_.all(chunks_[chunk].first_page, chunks_[chunk].pages); }

 private:
  /// Chunks that follow each other in one region and have pages missing.
  struct Gap {
    std::size_t first_chunk = 0, chunks = 0;
  };
  void find_gaps();
  void add(std::uint64_t first_page, std::uint64_t count, const Came& came) noexcept;

  const ChunkTable& chunks_;
  PageMap map_;
  PageSet pages_;
  std::vector<Gap> gaps_;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "checkpoint/tracking/chunks.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

/// Which pages of guest memory the host holds anything for, at one moment. The others were never touched: they read as
/// zero, write protection passes over them without a word (userfaultfd leaves absent pages alone), and a first write to
/// one is not seen. So they must be known.
///
/// Pages come, and never go. So the first picture is of all memory, and later ones look only at the chunks that had
/// pages missing: a machine that has touched all of its memory costs nothing in the pause.
///
/// Asked of the kernel by the PAGEMAP_SCAN ioctl (Linux 6.7), which walks page tables a huge page at a step; before
/// that by reading /proc/self/pagemap, 8 bytes a page.
class Residency {
 public:
  explicit Residency(const ChunkTable& chunks);

  /// Called for each chunk with pages that the picture before did not have; for some more than once.
  using Came = std::function<void(std::size_t chunk)>;

  /// Guest running: a picture, and a list of the chunks that the next one must look at. May take milliseconds.
  void scan(const Came& came = [](std::size_t) {});
  /// In the pause: what has come since. Allocates nothing.
  void update(const Came& came);

  bool resident(std::uint64_t page) const noexcept { return (bits_[page / 64] >> (page % 64) & 1) != 0; }

  /// Calls `visit(first_page, count)` for each run of resident pages inside [first_page, first_page + count).
  void for_each_run(std::uint64_t first_page, std::uint64_t count,
                    const std::function<void(std::uint64_t, std::uint64_t)>& visit) const;
  /// Copies the resident pages of a chunk out of guest memory, each to its place.
  void copy(const Chunk& chunk, std::span<std::byte> into) const noexcept;
  /// How many pages are resident.
  std::uint64_t count() const noexcept;
  /// True where at least one page of the chunk is resident.
  bool any(std::size_t chunk) const noexcept;
  bool all(std::size_t chunk) const noexcept;

 private:
  /// Chunks that follow each other in one region and have pages missing.
  struct Gap {
    std::size_t first_chunk = 0, chunks = 0;
  };
  void find_gaps();
  void look_at(const Gap& gap, const Came& came);
  bool look_by_ioctl(const Chunk& first, std::uint64_t pages, const Came& came);
  void look_by_reading(const Chunk& first, std::uint64_t pages, const Came& came);
  void set(std::uint64_t first_page, std::uint64_t count, const Came& came) noexcept;

  const ChunkTable& chunks_;
  UniqueFd pagemap_;
  std::vector<std::uint64_t> bits_;
  std::vector<std::uint64_t> buffer_;
  std::vector<Gap> gaps_;
  bool has_ioctl_ = true;
};

}  // namespace tintype

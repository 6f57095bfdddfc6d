// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace tintype {

/// One bit a page, set by any thread, taken by one. Pages are numbered from 0 in the order in which guest memory's
/// regions follow each other (see GuestMemory::page_number).
class DirtyBitmap {
 public:
  explicit DirtyBitmap(std::uint64_t pages);

  /// Lock-free; may be called from I/O completions.
  void mark(std::uint64_t first_page, std::uint64_t count) noexcept;
  bool test(std::uint64_t page) const noexcept;
  /// Takes all bits out (the bitmap is clean afterwards), 64 pages a word, bit 0 the lowest.
  std::vector<std::uint64_t> take();
  /// Puts bits back that a failed checkpoint had taken.
  void fold_back(std::span<const std::uint64_t> words) noexcept;

  std::uint64_t pages() const noexcept { return pages_; }

 private:
  std::uint64_t word_count() const noexcept { return (pages_ + 63) / 64; }

  std::uint64_t pages_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "vmm/memory/dirty_bitmap.h"

namespace tintype {

DirtyBitmap::DirtyBitmap(std::uint64_t pages)
    : pages_(pages), words_(std::make_unique<std::atomic<std::uint64_t>[]>((pages + 63) / 64)) {}

void DirtyBitmap::mark(std::uint64_t first_page, std::uint64_t count) noexcept {
  for (std::uint64_t page = first_page; page < first_page + count && page < pages_; ++page) {
    const std::uint64_t bit = 1ULL << (page % 64);
    auto& word = words_[page / 64];
    // Rings mark the same page again and again: look before the locked instruction.
    if ((word.load(std::memory_order_relaxed) & bit) == 0) word.fetch_or(bit, std::memory_order_relaxed);
  }
}

bool DirtyBitmap::test(std::uint64_t page) const noexcept {
  return page < pages_ && (words_[page / 64].load(std::memory_order_relaxed) >> (page % 64) & 1) != 0;
}

std::vector<std::uint64_t> DirtyBitmap::take() {
  std::vector<std::uint64_t> taken(word_count());
  for (std::uint64_t i = 0; i < taken.size(); ++i) {
    // Most words are zero: look before the locked instruction.
    if (words_[i].load(std::memory_order_relaxed) != 0) taken[i] = words_[i].exchange(0, std::memory_order_relaxed);
  }
  return taken;
}

void DirtyBitmap::fold_back(std::span<const std::uint64_t> words) noexcept {
  for (std::uint64_t i = 0; i < words.size() && i < word_count(); ++i) {
    if (words[i] != 0) words_[i].fetch_or(words[i], std::memory_order_relaxed);
  }
}

}  // namespace tintype

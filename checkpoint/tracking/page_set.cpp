// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/page_set.h"

#include <algorithm>
#include <bit>

namespace tintype {

namespace {

/// Calls `each(word, bits)` for every word of the bitmap that the run touches, with the bits of it that are the run's.
template <typename Each>
void for_each_word(std::uint64_t first, std::uint64_t count, const Each& each) {
  const std::uint64_t end = first + count;
  while (first < end) {
    const std::uint64_t here = std::min<std::uint64_t>(64 - first % 64, end - first);
    each(first / 64, (here == 64 ? ~0ULL : (1ULL << here) - 1) << first % 64);
    first += here;
  }
}

}  // namespace

bool PageSet::any(std::uint64_t first, std::uint64_t count) const noexcept {
  std::uint64_t found = 0;
  for_each_word(first, count, [&](std::uint64_t word, std::uint64_t bits) { found |= bits_[word] & bits; });
  return found != 0;
}

bool PageSet::all(std::uint64_t first, std::uint64_t count) const noexcept {
  std::uint64_t missing = 0;
  for_each_word(first, count, [&](std::uint64_t word, std::uint64_t bits) { missing |= ~bits_[word] & bits; });
  return missing == 0;
}

std::uint64_t PageSet::count() const noexcept { return count(0, bits_.size() * 64); }

std::uint64_t PageSet::count(std::uint64_t first, std::uint64_t count) const noexcept {
  std::uint64_t pages = 0;
  for_each_word(first, count, [&](std::uint64_t word, std::uint64_t bits) {
    pages += static_cast<std::uint64_t>(std::popcount(bits_[word] & bits));
  });
  return pages;
}

void PageSet::for_each_run(std::uint64_t first, std::uint64_t count, const Visit& visit) const {
  const std::uint64_t end = first + count;
  const auto is_whole_word = [&](std::uint64_t page, std::uint64_t word) {
    return page % 64 == 0 && page + 64 <= end && bits_[page / 64] == word;
  };
  for (std::uint64_t page = first; page < end;) {
    while (page < end && !contains(page)) page += is_whole_word(page, 0) ? 64 : 1;
    const std::uint64_t start = page;
    while (page < end && contains(page)) page += is_whole_word(page, ~0ULL) ? 64 : 1;
    if (page > start) visit(start, page - start);
  }
}

void PageSet::add(std::uint64_t first, std::uint64_t count) noexcept {
  for_each_word(first, count, [&](std::uint64_t word, std::uint64_t bits) { bits_[word] |= bits; });
}

void PageSet::remove(std::uint64_t first, std::uint64_t count) noexcept {
  for_each_word(first, count, [&](std::uint64_t word, std::uint64_t bits) { bits_[word] &= ~bits; });
}

void PageSet::add(const PageSet& other, std::uint64_t first, std::uint64_t count) noexcept {
  for_each_word(first, count, [&](std::uint64_t word, std::uint64_t bits) { bits_[word] |= other.bits_[word] & bits; });
}

void PageSet::add(const PageSet& other) noexcept { add(other, 0, bits_.size() * 64); }

void PageSet::clear() noexcept { std::fill(bits_.begin(), bits_.end(), 0); }

}  // namespace tintype

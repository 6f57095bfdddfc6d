// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/page_hashes.h"

#include <algorithm>
#include <array>

#include "vmm/base/checksum.h"
#include "vmm/base/zero_scan.h"
#include "vmm/memory/gpa.h"

namespace tintype {

namespace {

/// What no page is known by. (One whose hash this is will be saved each time, and that is all.)
constexpr std::uint64_t kUnknown = 0;

std::uint64_t hash_of_zeros() {
  static const std::uint64_t hash = checksum_of(std::array<std::byte, kPageSize>{});
  return hash;
}

/// Most of a quiet guest's memory may be zero, and to see that costs less than to sum it.
std::uint64_t hash_of(std::span<const std::byte> page) { return is_zero(page) ? hash_of_zeros() : checksum_of(page); }

}  // namespace

std::uint64_t PageHashes::compare(std::size_t chunk, std::span<const std::byte> contents, const PageSet& pages,
                                  const Residency& residency, bool all, const Changed& changed) {
  const Chunk& place = chunks_[chunk];
  last_.resize(chunks_.pages(), kUnknown);
  next_.resize(chunks_.pages(), kUnknown);
  const std::uint64_t zero = hash_of_zeros();
  std::uint64_t run = 0, different = 0;
  for (std::uint64_t page = place.first_page; page < place.first_page + place.pages; ++page) {
    const bool looked_at = pages.contains(page);
    if (looked_at) {
      next_[page] = hash_of(contents.subspan((page - place.first_page) * kPageSize, kPageSize));
    } else {
      next_[page] = residency.resident(page) ? last_[page] : zero;
    }
    const bool known = last_[page] != kUnknown;
    if (known && next_[page] != last_[page]) ++different;
    if (looked_at && (all || !known || next_[page] != last_[page])) {
      ++run;
    } else if (run > 0) {
      changed(page - run, run);
      run = 0;
    }
  }
  if (run > 0) changed(place.first_page + place.pages - run, run);
  pending_.push_back(chunk);
  return different;
}

void PageHashes::keep() noexcept {
  for (const std::size_t chunk : pending_) {
    const Chunk& pages = chunks_[chunk];
    const auto from = static_cast<std::ptrdiff_t>(pages.first_page);
    std::copy_n(next_.begin() + from, pages.pages, last_.begin() + from);
  }
  pending_.clear();
}

void PageHashes::know(std::size_t chunk, std::span<const std::byte> contents) {
  const Chunk& place = chunks_[chunk];
  last_.resize(chunks_.pages(), kUnknown);
  for (std::uint64_t i = 0; i < place.pages; ++i)
    last_[place.first_page + i] = hash_of(contents.subspan(i * kPageSize, kPageSize));
}

}  // namespace tintype

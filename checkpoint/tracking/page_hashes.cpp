// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/page_hashes.h"

#include <algorithm>
#include <array>

#include "vmm/base/checksum.h"
#include "vmm/memory/gpa.h"

namespace tintype {

namespace {

std::uint64_t hash_of_zeros() {
  static const std::uint64_t hash = checksum_of(std::array<std::byte, kPageSize>{});
  return hash;
}

}  // namespace

void PageHashes::compare(std::size_t chunk, std::span<const std::byte> contents, const Residency& residency, bool all,
                         const Changed& changed) {
  const auto& [first, pages, host] = chunks_[chunk];
  const std::uint64_t total = chunks_[chunks_.size() - 1].first_page + chunks_[chunks_.size() - 1].pages;
  last_.resize(total);
  next_.resize(total);
  const bool compares = !all && known_[chunk];
  const std::uint64_t zero = hash_of_zeros();
  std::uint64_t run = 0;
  for (std::uint64_t page = first; page < first + pages; ++page) {
    const bool resident = residency.resident(page);
    next_[page] = resident ? checksum_of(contents.subspan((page - first) * kPageSize, kPageSize)) : zero;
    if (compares ? next_[page] != last_[page] : resident) {
      ++run;
    } else if (run > 0) {
      changed(page - run, run);
      run = 0;
    }
  }
  if (run > 0) changed(first + pages - run, run);
  pending_.push_back(chunk);
}

void PageHashes::keep() noexcept {
  for (const std::size_t chunk : pending_) {
    const Chunk& pages = chunks_[chunk];
    const auto from = static_cast<std::ptrdiff_t>(pages.first_page);
    std::copy_n(next_.begin() + from, pages.pages, last_.begin() + from);
    known_[chunk] = true;
  }
  pending_.clear();
}

}  // namespace tintype

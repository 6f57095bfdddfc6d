// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/nbd/cached_source.h"

#include <algorithm>

namespace tintype {

namespace {

/// Of 16 MiB each at most.
constexpr std::size_t kMostKept = 8;

}  // namespace

void CachedSource::read(std::uint64_t offset, std::span<std::byte> into) {
  while (!into.empty()) {
    const Stretch stretch = stretch_at(offset);
    const std::size_t length = std::min<std::uint64_t>(stretch.end - offset, into.size());
    if (stretch.zero) {
      std::fill_n(into.begin(), length, std::byte{0});
    } else {
      const std::size_t extent = source_.next_run(offset / kBlockSize)->extent;
      const std::uint64_t from = offset - source_.extent(extent).first_block * kBlockSize;
      const Contents contents = contents_of(extent);
      std::copy_n(contents->begin() + static_cast<std::ptrdiff_t>(from), length, into.begin());
    }
    offset += length;
    into = into.subspan(length);
  }
}

CachedSource::Stretch CachedSource::stretch_at(std::uint64_t offset) const noexcept {
  const std::uint64_t block = offset / kBlockSize;
  const auto run = source_.next_run(block);
  if (!run) return {bytes(), true};
  if (run->first_block > block) return {std::min(run->first_block * kBlockSize, bytes()), true};
  return {std::min(run->end_block() * kBlockSize, bytes()), false};
}

// Two that want the same one at the same time may both read it.
CachedSource::Contents CachedSource::contents_of(std::size_t extent) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(kept_, extent, &Kept::extent);
    if (found != kept_.end()) {
      kept_.splice(kept_.begin(), kept_, found);
      return kept_.front().contents;
    }
  }
  auto contents = std::make_shared<std::vector<std::byte>>(source_.extent(extent).data_bytes());
  source_.read_extent(extent, *contents);
  const std::lock_guard lock(mutex_);
  kept_.push_front({extent, contents});
  if (kept_.size() > kMostKept) kept_.pop_back();
  return contents;
}

}  // namespace tintype

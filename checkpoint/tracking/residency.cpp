// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/residency.h"

#include <algorithm>

namespace tintype {

Residency::Residency(const ChunkTable& chunks) : chunks_(chunks), pages_(chunks.pages()) { find_gaps(); }

void Residency::scan(const Came& came) {
  update(came);
  find_gaps();
}

void Residency::update(const Came& came) {
  for (const Gap& gap : gaps_) {
    const std::uint64_t first_page = chunks_[gap.first_chunk].first_page;
    map_.find_present(chunks_.bytes(gap.first_chunk, gap.chunks), [&](std::uint64_t offset, std::uint64_t bytes) {
      add(first_page + offset / kPageSize, bytes / kPageSize, came);
    });
  }
}

void Residency::find_gaps() {
  gaps_.clear();
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (all(chunk)) continue;
    const bool follows = !gaps_.empty() && gaps_.back().first_chunk + gaps_.back().chunks == chunk &&
                         chunks_.follow_each_other(chunk - 1);
    if (!follows) gaps_.push_back({chunk, 0});
    ++gaps_.back().chunks;
  }
}

void Residency::add(std::uint64_t first_page, std::uint64_t count, const Came& came) noexcept {
  const std::uint64_t end = first_page + count;
  for (std::uint64_t page = first_page; page < end;) {
    const std::size_t chunk = chunks_.of_page(page);
    const std::uint64_t here = std::min(chunks_[chunk].first_page + chunks_[chunk].pages, end) - page;
    if (!pages_.all(page, here)) {
      pages_.add(page, here);
      came(chunk);
    }
    page += here;
  }
}

}  // namespace tintype

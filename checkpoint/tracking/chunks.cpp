// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/chunks.h"

#include <algorithm>

namespace tintype {

ChunkTable::ChunkTable(const GuestMemory& memory) {
  for (const MemoryRegion& region : memory.regions()) {
    const auto start = reinterpret_cast<std::uintptr_t>(region.host);
    regions_.push_back({start, start + region.size, chunks_.size(), region.first_page});
    for (std::uint64_t offset = 0; offset < region.size; offset += kHugePageSize) {
      const std::uint64_t bytes = std::min(kHugePageSize, region.size - offset);
      chunks_.push_back({region.first_page + offset / kPageSize, bytes / kPageSize, region.host + offset});
    }
  }
}

std::uint64_t ChunkTable::pages() const noexcept {
  return chunks_.empty() ? 0 : chunks_.back().first_page + chunks_.back().pages;
}

bool ChunkTable::follow_each_other(std::size_t chunk) const noexcept {
  const std::span<std::byte> bytes = chunks_[chunk].bytes();
  return chunk + 1 < chunks_.size() && chunks_[chunk + 1].host == bytes.data() + bytes.size();
}

std::span<std::byte> ChunkTable::bytes(std::size_t first, std::size_t count) const noexcept {
  const Chunk& last = chunks_[first + count - 1];
  return {chunks_[first].host, (last.first_page + last.pages - chunks_[first].first_page) * kPageSize};
}

void ChunkTable::for_each_region(const std::function<void(std::size_t, std::size_t)>& visit) const {
  for (std::size_t region = 0; region < regions_.size(); ++region) {
    const std::size_t first = regions_[region].first_chunk;
    visit(first, (region + 1 < regions_.size() ? regions_[region + 1].first_chunk : chunks_.size()) - first);
  }
}

std::optional<std::size_t> ChunkTable::find(std::uintptr_t host_address) const noexcept {
  for (const Span& region : regions_) {
    if (host_address >= region.start && host_address < region.end)
      return region.first_chunk + (host_address - region.start) / kHugePageSize;
  }
  return std::nullopt;
}

std::size_t ChunkTable::of_page(std::uint64_t page) const noexcept {
  std::size_t region = regions_.size() - 1;
  while (region > 0 && page < regions_[region].first_page) --region;
  return regions_[region].first_chunk + (page - regions_[region].first_page) / (kHugePageSize / kPageSize);
}

}  // namespace tintype

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

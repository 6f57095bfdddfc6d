// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/in_place.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "checkpoint/tracking/page_map.h"
#include "vmm/base/error.h"
#include "vmm/base/zero_scan.h"

namespace tintype {

static_assert(kBlockSize == kPageSize, "a block of the memory part is a page");

MemoryDifference::MemoryDifference(const BlockSource& source, GuestMemory& memory)
    : memory_(memory), contents_(Mapping::anonymous(memory.size(), kHugePageSize)) {
  check(source.blocks() == memory.pages(), "memory is compared with one of its size");
  std::vector<std::byte> buffer;
  for (std::size_t number = 0; number < source.extent_count(); ++number) compare_extent(source, number, buffer);
  std::uint64_t zero_from = 0;
  for (auto run = source.next_run(0); run; run = source.next_run(zero_from)) {
    compare_with_zeros(zero_from, run->first_block);
    zero_from = run->end_block();
    if (zero_from >= memory.pages()) break;
  }
  compare_with_zeros(zero_from, memory.pages());
}

// An extent of which nothing counts any more need not be read.
void MemoryDifference::compare_extent(const BlockSource& source, std::size_t number, std::vector<std::byte>& buffer) {
  std::vector<BlockSource::Run> runs;
  source.runs_in(number, runs);
  if (runs.empty()) return;
  const Extent& extent = source.extent(number);
  buffer.resize(extent.data_bytes());
  source.read_extent(number, buffer);
  for (const BlockSource::Run& run : runs) {
    for (std::uint64_t page = run.first_block; page < run.end_block(); ++page) {
      const std::byte* saved = buffer.data() + (page - extent.first_block) * kPageSize;
      if (std::memcmp(memory_.page_host(page), saved, kPageSize) == 0) continue;
      std::memcpy(contents_.data() + changed_.size() * kPageSize, saved, kPageSize);
      changed_.push_back(page);
    }
  }
}

// Memory that the host holds nothing for is not touched.
void MemoryDifference::compare_with_zeros(std::uint64_t first_page, std::uint64_t end_page) {
  PageMap map;
  for (const MemoryRegion& region : memory_.regions()) {
    const std::uint64_t first = std::max(first_page, region.first_page);
    const std::uint64_t end = std::min(end_page, region.first_page + region.size / kPageSize);
    if (first >= end) continue;
    map.find_present({memory_.page_host(first), (end - first) * kPageSize},
                     [&](std::uint64_t offset, std::uint64_t bytes) {
                       for (std::uint64_t page = first + offset / kPageSize; bytes > 0; ++page, bytes -= kPageSize)
                         if (!is_zero({memory_.page_host(page), kPageSize})) zeroed_.push_back(page);
                     });
  }
}

void MemoryDifference::apply() noexcept {
  for (std::size_t i = 0; i < changed_.size(); ++i)
    std::memcpy(memory_.page_host(changed_[i]), contents_.data() + i * kPageSize, kPageSize);
  for (const std::uint64_t page : zeroed_) std::memset(memory_.page_host(page), 0, kPageSize);
}

void SavedDisk::read(std::uint64_t offset, std::span<std::byte> into) {
  check(offset % kBlockSize == 0, "a saved disk is read from a whole block on");
  const std::size_t whole = into.size() / kBlockSize * kBlockSize;
  source_.read_blocks(offset / kBlockSize, into.first(whole));
  if (whole == into.size()) return;
  std::vector<std::byte> last(kBlockSize);
  source_.read_blocks((offset + whole) / kBlockSize, last);
  std::memcpy(into.data() + whole, last.data(), into.size() - whole);
}

std::optional<DiskContents::Range> SavedDisk::next_data(std::uint64_t offset) {
  if (offset >= size()) return std::nullopt;
  const auto run = source_.next_run(offset / kBlockSize);
  if (!run) return std::nullopt;
  const std::uint64_t start = std::max(offset, run->first_block * kBlockSize);
  return Range{start, std::min(run->end_block() * kBlockSize, size()) - start};
}

}  // namespace tintype

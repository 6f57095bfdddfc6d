// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/layout.h"

#include <algorithm>

#include "vmm/memory/guest_memory.h"

namespace tintype {

namespace {

constexpr std::size_t kEntriesPerTable = 512;
constexpr std::size_t kPageDirectories = 4;  // one for each GiB
static_assert(kPageTableArea.size == (2 + kPageDirectories) * kPageSize);

constexpr std::uint64_t kPresentWritable = 0x3;
constexpr std::uint64_t kLargePage = 0x80;

}  // namespace

std::vector<MemoryMapEntry> memory_map(std::uint64_t memory_size) {
  std::vector<MemoryMapEntry> map = {
      {0, kConventionalEnd, MemoryKind::kUsable},
      {kExtendedBiosArea.start, kExtendedBiosArea.size, MemoryKind::kReserved},
      {kAcpiArea.start, kBiosArea.end() - kAcpiArea.start, MemoryKind::kReserved},
  };
  const std::uint64_t low_end = std::min(memory_size, kHoleStart);
  if (low_end > kHighMemoryStart) map.push_back({kHighMemoryStart, low_end - kHighMemoryStart, MemoryKind::kUsable});
  if (memory_size > kHoleStart) map.push_back({kHoleEnd, memory_size - kHoleStart, MemoryKind::kUsable});
  return map;
}

PageTables identity_page_tables() noexcept {
  PageTables tables{};
  tables[0] = (kPageTableArea.start + kPageSize) | kPresentWritable;
  for (std::size_t gib = 0; gib < kPageDirectories; ++gib) {
    tables[kEntriesPerTable + gib] = (kPageTableArea.start + (2 + gib) * kPageSize) | kPresentWritable;
  }
  for (std::size_t page = 0; page < kPageDirectories * kEntriesPerTable; ++page) {
    tables[2 * kEntriesPerTable + page] = page * kHugePageSize | kPresentWritable | kLargePage;
  }
  return tables;
}

}  // namespace tintype

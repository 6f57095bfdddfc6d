// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/layout.h"

#include <doctest/doctest.h>

#include "vmm/memory/guest_memory.h"

namespace tintype {

TEST_CASE("the memory map of the smallest machine has no memory above 1 MiB") {
  for (const MemoryMapEntry& entry : memory_map(kMinimumMemory)) CHECK(entry.start + entry.size <= kMinimumMemory);
}

TEST_CASE("the memory map leaves out the hole and never calls usable what is not memory") {
  const std::uint64_t size = kHoleStart + (512 << 20);
  const GuestMemory memory(size);
  std::uint64_t end = 0;
  for (const MemoryMapEntry& entry : memory_map(size)) {
    CHECK(entry.start >= end);
    end = entry.start + entry.size;
    if (entry.kind == MemoryKind::kUsable) CHECK(memory.contains(Gpa(entry.start), entry.size));
    CHECK_FALSE((entry.start < kHoleEnd && end > kHoleStart));
  }
  CHECK(end == kHoleEnd + (512 << 20));
}

TEST_CASE("tables and firmware areas are reserved in the memory map") {
  for (const BootArea& area : {kExtendedBiosArea, kAcpiArea, kBiosArea}) {
    for (const MemoryMapEntry& entry : memory_map(64 << 20)) {
      if (entry.kind != MemoryKind::kUsable) continue;
      CHECK((entry.start >= area.end() || entry.start + entry.size <= area.start));
    }
  }
}

TEST_CASE("page tables map each of the first 4 GiB to itself") {
  const PageTables tables = identity_page_tables();
  const auto table_at = [&](std::uint64_t entry) { return ((entry & ~0xfffULL) - kPageTableArea.start) / 8; };
  for (const std::uint64_t address : {0ULL, 0x100000ULL, 0x1000200ULL, 0x7fffffffULL, 0xfee00020ULL, 0xffffffffULL}) {
    const std::uint64_t level4 = tables[address >> 39];
    const std::uint64_t level3 = tables[table_at(level4) + (address >> 30 & 511)];
    const std::uint64_t level2 = tables[table_at(level3) + (address >> 21 & 511)];
    CHECK((level4 & level3 & level2 & 3) == 3);
    CHECK((level2 & 0x80) != 0);
    CHECK((level2 & ~0x1fffffULL) == (address & ~0x1fffffULL));
  }
}

}  // namespace tintype

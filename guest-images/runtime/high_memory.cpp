// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/high_memory.h"

#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/layout.h"

namespace tintype::guest {
namespace {

constexpr std::uint64_t kGiB = 1 << 30;
constexpr std::uint64_t kHugePage = 2 << 20;
constexpr std::uint64_t kEntries = 512;  // of a page table
constexpr std::uint64_t kTable = 0x67;   // as in tables.S: present, writable, user, accessed, dirty
constexpr std::uint64_t kHuge = 0x80;

using Table = volatile std::uint64_t*;

MemoryRange ram_from_4_gib() {
  const BootInfo& info = boot_info();
  for (std::uint32_t i = 0; i != info.ram_ranges; ++i) {
    if (info.ram[i].start == 4 * kGiB) return MemoryRange{4 * kGiB, info.ram[i].size & ~(kHugePage - 1)};
  }
  return MemoryRange{4 * kGiB, 0};
}

void fill_page_directory(std::uint64_t directory, std::uint64_t address) {
  const auto entries = reinterpret_cast<Table>(directory);
  for (std::uint64_t i = 0; i != kEntries; ++i) entries[i] = (address + i * kHugePage) | kHuge | kTable;
}

}  // namespace

// An entry that was empty may be filled without telling the processor: it remembers none that is not present.
MemoryRange map_high_memory(MemoryRange& free) {
  MemoryRange high = ram_from_4_gib();
  std::uint64_t directories = (high.size + kGiB - 1) / kGiB;
  if (directories > kEntries - 4) directories = kEntries - 4;  // what one table of the third level can hold
  const std::uint64_t taken = (directories * 4096 + kHugePage - 1) & ~(kHugePage - 1);
  if (taken > free.size) return MemoryRange{high.start, 0};
  if (high.size > directories * kGiB) high.size = directories * kGiB;
  for (std::uint64_t i = 0; i != directories; ++i) {
    const std::uint64_t directory = free.start + i * 4096;
    fill_page_directory(directory, high.start + i * kGiB);
    memory_barrier();
    reinterpret_cast<Table>(std::uint64_t{TABLES_PDPT})[4 + i] = directory | kTable;
  }
  free.start += taken;
  free.size -= taken;
  return high;
}

}  // namespace tintype::guest

// SPDX-License-Identifier: Apache-2.0
#pragma once

// Where things lie in the first mebibyte when the kernel is entered, and which memory the kernel is told of.
//
// What we put there for the kernel to read stands together just below the top of conventional memory, so that
// kernels linked low have room from 0x500 to 0x80000. Kernels may use that memory as they like once they have
// read it.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tintype {

struct BootArea {
  std::string_view name;
  std::uint64_t start = 0;
  std::uint64_t size = 0;
  constexpr std::uint64_t end() const noexcept { return start + size; }
};

/// Real-mode interrupt vectors and the BIOS data area. An image that covers them has them: they are written
/// first.
inline constexpr BootArea kRealModeArea{"real-mode vectors", 0, 0x500};
inline constexpr BootArea kGdtArea{"descriptor table", 0x80000, 0x1000};
/// Zero page, hvm_start_info or multiboot information with all that hangs on it.
inline constexpr BootArea kBootInfoArea{"boot information", 0x81000, 0x3000};
inline constexpr BootArea kPageTableArea{"page tables", 0x84000, 0x6000};
inline constexpr BootArea kCommandLineArea{"command line", 0x90000, 0x4000};
inline constexpr BootArea kExtendedBiosArea{"extended BIOS data area", 0x9fc00, 0x400};
/// RSDP first: kernels that are not told of it look for it on 16-byte boundaries from 0xe0000.
inline constexpr BootArea kAcpiArea{"ACPI tables", 0xe0000, 0xd000};
/// Where TR points: the fixed part, a bit for each port, and the byte of ones that ends them.
inline constexpr BootArea kTaskStateArea{"task state", 0xed000, 0x68 + 0x2000 + 1};
/// A mark and the machine's generation (generation_id.h).
inline constexpr BootArea kGenerationArea{"generation ID", 0xef100, 0x20};
/// Reserved in the memory map, but there is no BIOS in it, only the handlers of the interrupts: an image that covers it
/// has it. Linkers like to put a file's headers into the page below 1 MiB.
inline constexpr BootArea kBiosArea{"BIOS", 0xf0000, 0x10000};

inline constexpr std::array kBootAreas = {kRealModeArea,    kGdtArea,          kBootInfoArea, kPageTableArea,
                                          kCommandLineArea, kExtendedBiosArea, kAcpiArea,     kTaskStateArea,
                                          kGenerationArea,  kBiosArea};

constexpr bool areas_are_in_order_and_apart() noexcept {
  for (std::size_t i = 1; i < kBootAreas.size(); ++i) {
    if (kBootAreas[i - 1].end() > kBootAreas[i].start) return false;
  }
  return true;
}
static_assert(areas_are_in_order_and_apart());

inline constexpr std::uint64_t kConventionalEnd = kExtendedBiosArea.start;  ///< 639 KiB
inline constexpr std::uint64_t kHighMemoryStart = 1 << 20;
static_assert(kBiosArea.end() == kHighMemoryStart);

enum class MemoryKind : std::uint32_t { kUsable = 1, kReserved = 2 };  // the numbers that e820, multiboot and PVH share

struct MemoryMapEntry {
  std::uint64_t start = 0;
  std::uint64_t size = 0;
  MemoryKind kind = MemoryKind::kUsable;
  bool operator==(const MemoryMapEntry&) const = default;
};

/// What a kernel is told of a machine with `memory_size` bytes: in order, apart, with the hole below 4 GiB
/// left out.
std::vector<MemoryMapEntry> memory_map(std::uint64_t memory_size);

/// Page tables for kPageTableArea: the first 4 GiB mapped to themselves, in pages of 2 MiB, which every
/// long-mode CPU has.
using PageTables = std::array<std::uint64_t, kPageTableArea.size / sizeof(std::uint64_t)>;
PageTables identity_page_tables() noexcept;

}  // namespace tintype

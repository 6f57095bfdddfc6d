// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/page_walk.h"

#include <algorithm>

namespace tintype {

namespace {

constexpr std::uint64_t kCr0Paging = 1ULL << 31, kCr4LargePages = 1 << 4, kCr4Pae = 1 << 5, kCr4FiveLevels = 1 << 12;
constexpr std::uint64_t kEferLongModeActive = 1 << 10;
constexpr std::uint64_t kEntryPresent = 1, kEntryLarge = 1 << 7;
constexpr std::uint64_t kAddressMask = 0x000f'ffff'ffff'f000;

std::optional<Gpa> walk_64(const GuestMemory& memory, std::uint64_t table, std::uint64_t linear, int levels,
                           std::uint64_t top_mask) {
  for (int level = levels; level >= 1; --level) {
    const unsigned shift = 12 + 9 * static_cast<unsigned>(level - 1);
    const std::uint64_t index = linear >> shift & (level == levels ? top_mask : 511);
    const auto entry = memory.load<std::uint64_t>(Gpa(table + index * 8));
    if (!entry || (*entry & kEntryPresent) == 0) return std::nullopt;
    const bool leaf = level == 1 || (level <= 3 && (*entry & kEntryLarge) != 0);
    const std::uint64_t offset_mask = (1ULL << shift) - 1;
    if (leaf) return Gpa((*entry & kAddressMask & ~offset_mask) | (linear & offset_mask));
    table = *entry & kAddressMask;
  }
  return std::nullopt;
}

std::optional<Gpa> walk_32(const GuestMemory& memory, std::uint64_t table, std::uint64_t linear, bool large_pages) {
  const auto directory = memory.load<std::uint32_t>(Gpa((table & 0xffff'f000) + (linear >> 22 & 1023) * 4));
  if (!directory || (*directory & kEntryPresent) == 0) return std::nullopt;
  if (large_pages && (*directory & kEntryLarge) != 0) return Gpa((*directory & 0xffc0'0000) | (linear & 0x3f'ffff));
  const auto entry = memory.load<std::uint32_t>(Gpa((*directory & 0xffff'f000) + (linear >> 12 & 1023) * 4));
  if (!entry || (*entry & kEntryPresent) == 0) return std::nullopt;
  return Gpa((*entry & 0xffff'f000) | (linear & 0xfff));
}

}  // namespace

std::optional<Gpa> translate(const GuestMemory& memory, const kvm_sregs& sregs, std::uint64_t linear) {
  if ((sregs.cr0 & kCr0Paging) == 0) return Gpa(linear);
  if ((sregs.cr4 & kCr4Pae) == 0) return walk_32(memory, sregs.cr3, linear, (sregs.cr4 & kCr4LargePages) != 0);
  if ((sregs.efer & kEferLongModeActive) == 0) return walk_64(memory, sregs.cr3 & 0xffff'ffe0, linear, 3, 3);
  return walk_64(memory, sregs.cr3 & kAddressMask, linear, (sregs.cr4 & kCr4FiveLevels) != 0 ? 5 : 4, 511);
}

std::vector<std::uint8_t> read_linear(const GuestMemory& memory, const kvm_sregs& sregs, std::uint64_t linear,
                                      std::size_t count) {
  std::vector<std::uint8_t> bytes;
  while (bytes.size() < count) {
    const auto address = translate(memory, sregs, linear);
    if (!address) break;
    const std::size_t here = std::min<std::size_t>(count - bytes.size(), kPageSize - linear % kPageSize);
    const auto view = memory.view(*address, here);
    if (view.empty()) break;
    const auto* data = reinterpret_cast<const std::uint8_t*>(view.data());
    bytes.insert(bytes.end(), data, data + here);
    linear += here;
  }
  return bytes;
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tintype::paging {

// Bits of control registers and of page-table entries (Intel SDM volume 3, chapter 4).
inline constexpr std::uint64_t kCr0Paging = 1ULL << 31;
inline constexpr std::uint64_t kCr4LargePages = 1 << 4, kCr4Pae = 1 << 5, kCr4FiveLevels = 1 << 12;
inline constexpr std::uint64_t kEferLongModeActive = 1 << 10;
inline constexpr std::uint64_t kEntryPresent = 1, kEntryUser = 1 << 2, kEntryLarge = 1 << 7;
inline constexpr std::uint64_t kAddressMask = 0x000f'ffff'ffff'f000;

}  // namespace tintype::paging

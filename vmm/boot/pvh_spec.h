// SPDX-License-Identifier: Apache-2.0
#pragma once

// The PVH boot protocol: xen/include/public/arch-x86/hvm/start_info.h. EBX holds the address of a StartInfo.

#include <cstdint>

namespace tintype::pvh {

inline constexpr std::uint32_t kStartMagic = 0x336ec578;

struct StartInfo {
  std::uint32_t magic;               // 0
  std::uint32_t version;             // 4, 1: there is a memory map
  std::uint32_t flags;               // 8
  std::uint32_t module_count;        // 12
  std::uint64_t modules;             // 16
  std::uint64_t command_line;        // 24
  std::uint64_t rsdp;                // 32
  std::uint64_t memory_map;          // 40
  std::uint32_t memory_map_entries;  // 48
  std::uint32_t reserved;            // 52
};
static_assert(sizeof(StartInfo) == 56);

struct Module {
  std::uint64_t start;         // 0
  std::uint64_t size;          // 8
  std::uint64_t command_line;  // 16
  std::uint64_t reserved;      // 24
};
static_assert(sizeof(Module) == 32);

struct MapEntry {
  std::uint64_t start;     // 0
  std::uint64_t size;      // 8
  std::uint32_t kind;      // 16
  std::uint32_t reserved;  // 20
};
static_assert(sizeof(MapEntry) == 24);

}  // namespace tintype::pvh

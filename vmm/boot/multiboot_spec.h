// SPDX-License-Identifier: Apache-2.0
#pragma once

// Multiboot Specification 0.6.96: what an image says (3.1), and what it is told (3.3).

#include <cstdint>

namespace tintype::multiboot {

inline constexpr std::uint32_t kHeaderMagic = 0x1badb002;
inline constexpr std::uint32_t kLoaderMagic = 0x2badb002;  ///< in EAX
inline constexpr std::uint32_t kSearchLimit = 8192;        ///< the header lies within the file's first bytes
inline constexpr std::uint32_t kSearchAlignment = 4;

// Header flags. A loader must refuse those of the lower 16 that it does not know.
inline constexpr std::uint32_t kAlignModules = 1 << 0;
inline constexpr std::uint32_t kWantMemory = 1 << 1;
inline constexpr std::uint32_t kWantVideo = 1 << 2;
inline constexpr std::uint32_t kHasAddresses = 1 << 16;

struct Header {
  std::uint32_t magic;           // 0
  std::uint32_t flags;           // 4
  std::uint32_t checksum;        // 8, makes the three sum to 0
  std::uint32_t header_address;  // 12, from here on only with kHasAddresses
  std::uint32_t load_address;    // 16
  std::uint32_t load_end;        // 20, 0: the end of the file
  std::uint32_t bss_end;         // 24, 0: none
  std::uint32_t entry;           // 28
};
static_assert(sizeof(Header) == 32);

// Information flags.
inline constexpr std::uint32_t kHasMemory = 1 << 0;
inline constexpr std::uint32_t kHasCommandLine = 1 << 2;
inline constexpr std::uint32_t kHasModules = 1 << 3;
inline constexpr std::uint32_t kHasMemoryMap = 1 << 6;
inline constexpr std::uint32_t kHasLoaderName = 1 << 9;

struct Information {
  std::uint32_t flags;              // 0
  std::uint32_t memory_lower;       // 4, KiB from 0
  std::uint32_t memory_upper;       // 8, KiB from 1 MiB
  std::uint32_t boot_device;        // 12
  std::uint32_t command_line;       // 16
  std::uint32_t module_count;       // 20
  std::uint32_t modules;            // 24
  std::uint32_t symbols[4];         // 28
  std::uint32_t memory_map_length;  // 44, bytes
  std::uint32_t memory_map;         // 48
  std::uint32_t drives_length;      // 52
  std::uint32_t drives;             // 56
  std::uint32_t config_table;       // 60
  std::uint32_t loader_name;        // 64
  std::uint32_t apm_table;          // 68
  std::uint32_t video[4];           // 72, VBE
};
static_assert(sizeof(Information) == 88);

struct Module {
  std::uint32_t start;  // 0
  std::uint32_t end;    // 4, one past the last byte
  std::uint32_t name;   // 8
  std::uint32_t zero;   // 12
};
static_assert(sizeof(Module) == 16);

struct [[gnu::packed]] MapEntry {
  std::uint32_t size;    // 0, of what follows
  std::uint64_t start;   // 4
  std::uint64_t length;  // 12
  std::uint32_t kind;    // 20
};
static_assert(sizeof(MapEntry) == 24);

}  // namespace tintype::multiboot

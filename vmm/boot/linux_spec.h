// SPDX-License-Identifier: Apache-2.0
#pragma once

// What Linux's boot protocol lays down: Documentation/x86/boot.rst ("The Real-Mode Kernel Header", "64-bit
// Boot Protocol") and zero-page.rst.

#include <array>
#include <cstddef>
#include <cstdint>

namespace tintype::linux_boot {

inline constexpr std::uint64_t kHeaderOffset = 0x1f1;  ///< the same in a bzImage and in the zero page
inline constexpr std::uint64_t kMagicOffset = 0x202;
inline constexpr std::uint64_t kHeaderLengthOffset = 0x201;  ///< the header ends so many bytes past kMagicOffset
inline constexpr std::uint32_t kMagic = 0x53726448;          ///< "HdrS"
inline constexpr std::uint16_t kBootFlag = 0xaa55;
inline constexpr std::uint64_t kSectorSize = 512;
inline constexpr std::uint64_t kSizeUnit = 16;          ///< of SetupHeader::system_size
inline constexpr std::uint64_t kEntry64Offset = 0x200;  ///< from where the protected-mode part was loaded
inline constexpr std::uint16_t kVersion64 = 0x020c;     ///< the first with `xloadflags`
inline constexpr std::uint8_t kUnknownLoader = 0xff;
inline constexpr std::uint16_t kVideoModeNormal = 0xffff;

inline constexpr std::uint8_t kLoadedHigh = 1 << 0;  // load_flags
inline constexpr std::uint16_t kKernel64 = 1 << 0;   // xload_flags
inline constexpr std::uint16_t kCanBeLoadedAbove4G = 1 << 1;

struct [[gnu::packed]] SetupHeader {
  std::uint8_t setup_sectors;           // 0x1f1, 0 means 4
  std::uint16_t root_flags;             // 0x1f2
  std::uint32_t system_size;            // 0x1f4, of the protected-mode part, in units of 16 bytes
  std::uint16_t ram_size;               // 0x1f8
  std::uint16_t video_mode;             // 0x1fa
  std::uint16_t root_device;            // 0x1fc
  std::uint16_t boot_flag;              // 0x1fe
  std::uint16_t jump;                   // 0x200
  std::uint32_t magic;                  // 0x202
  std::uint16_t version;                // 0x206
  std::uint32_t realmode_switch;        // 0x208
  std::uint16_t start_system_segment;   // 0x20c
  std::uint16_t kernel_version;         // 0x20e
  std::uint8_t loader_type;             // 0x210
  std::uint8_t load_flags;              // 0x211
  std::uint16_t setup_move_size;        // 0x212
  std::uint32_t code32_start;           // 0x214
  std::uint32_t ramdisk_image;          // 0x218
  std::uint32_t ramdisk_size;           // 0x21c
  std::uint32_t bootsect_kludge;        // 0x220
  std::uint16_t heap_end;               // 0x224
  std::uint8_t ext_loader_version;      // 0x226
  std::uint8_t ext_loader_type;         // 0x227
  std::uint32_t command_line;           // 0x228
  std::uint32_t initrd_address_max;     // 0x22c
  std::uint32_t kernel_alignment;       // 0x230
  std::uint8_t relocatable;             // 0x234
  std::uint8_t minimum_alignment;       // 0x235
  std::uint16_t xload_flags;            // 0x236
  std::uint32_t command_line_size;      // 0x238
  std::uint32_t hardware_subarch;       // 0x23c
  std::uint64_t hardware_subarch_data;  // 0x240
  std::uint32_t payload_offset;         // 0x248
  std::uint32_t payload_length;         // 0x24c
  std::uint64_t setup_data;             // 0x250
  std::uint64_t preferred_address;      // 0x258
  std::uint32_t init_size;              // 0x260, what the kernel needs from there on before it knows of memory
  std::uint32_t handover_offset;        // 0x264
  std::uint32_t kernel_info_offset;     // 0x268
};
static_assert(sizeof(SetupHeader) == 0x26c - kHeaderOffset);

struct [[gnu::packed]] MapEntry {
  std::uint64_t start;
  std::uint64_t size;
  std::uint32_t kind;
};
static_assert(sizeof(MapEntry) == 20);

/// `struct boot_params`, RSI at the entry. Of what is not named here nothing is set.
struct [[gnu::packed]] ZeroPage {
  std::array<std::uint8_t, 0x70> screen_and_apm;     // 0x000, a video type of 0: there is no screen
  std::uint64_t rsdp;                                // 0x070
  std::array<std::uint8_t, 0x48> drives;             // 0x078
  std::uint32_t ext_ramdisk_image;                   // 0x0c0, upper halves of what is in the header
  std::uint32_t ext_ramdisk_size;                    // 0x0c4
  std::uint32_t ext_command_line;                    // 0x0c8
  std::array<std::uint8_t, 0x11c> efi_and_firmware;  // 0x0cc
  std::uint8_t map_entries;                          // 0x1e8
  std::array<std::uint8_t, 8> edd_and_sentinel;      // 0x1e9
  SetupHeader header;                                // 0x1f1
  std::array<std::uint8_t, 0x64> more;               // 0x26c
  std::array<MapEntry, 128> map;                     // 0x2d0
  std::array<std::uint8_t, 0x330> rest;              // 0xcd0
};
static_assert(sizeof(ZeroPage) == 4096);
static_assert(offsetof(ZeroPage, rsdp) == 0x70 && offsetof(ZeroPage, ext_ramdisk_image) == 0xc0);
static_assert(offsetof(ZeroPage, map_entries) == 0x1e8 && offsetof(ZeroPage, header) == kHeaderOffset);
static_assert(offsetof(ZeroPage, map) == 0x2d0);

/// Where Linux maps itself: virtual minus physical address of its text and data.
inline constexpr std::uint64_t kKernelMap = 0xffffffff80000000;

}  // namespace tintype::linux_boot

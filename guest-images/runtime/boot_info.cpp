// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/boot_info.h"

#include <cstddef>

extern "C" {
extern std::uint32_t boot_magic;        // boot.S
extern std::uint32_t boot_information;  // boot.S
extern char image_end[];                // image.ld
}

namespace tintype::guest {
namespace {

constexpr std::uint32_t kMultibootMagic = 0x2badb002;
constexpr std::uint32_t kPvhMagic = 0x336ec578;
constexpr std::uint32_t kTypeRam = 1;

// Multiboot specification 0.6.96, 3.3: only the fields that are used here.
struct MultibootInfo {
  std::uint32_t flags;
  std::uint32_t unused_a[3];
  std::uint32_t command_line;
  std::uint32_t unused_b[6];
  std::uint32_t map_size;
  std::uint32_t map;
};
static_assert(offsetof(MultibootInfo, command_line) == 16);
static_assert(offsetof(MultibootInfo, map) == 48);
constexpr std::uint32_t kHasCommandLine = 1 << 2;
constexpr std::uint32_t kHasMap = 1 << 6;

struct [[gnu::packed]] MultibootMapEntry {
  std::uint32_t size;  // of what follows
  std::uint64_t start;
  std::uint64_t length;
  std::uint32_t type;
};

// Xen's public/arch-x86/hvm/start_info.h, version 1.
struct PvhStartInfo {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint32_t flags;
  std::uint32_t modules;
  std::uint64_t module_list;
  std::uint64_t command_line;
  std::uint64_t rsdp;
  std::uint64_t map;  // from version 1 on
  std::uint32_t map_entries;
};
static_assert(offsetof(PvhStartInfo, map_entries) == 48);

struct PvhMapEntry {
  std::uint64_t start;
  std::uint64_t length;
  std::uint32_t type;
  std::uint32_t reserved;
};

constinit BootInfo info;
constinit char command_line[2048] = {};

void copy_command_line(std::uint64_t address) {
  if (address == 0) return;
  const auto* from = reinterpret_cast<const char*>(address);
  std::size_t size = 0;
  while (size != sizeof(command_line) - 1 && from[size] != 0) {
    command_line[size] = from[size];
    ++size;
  }
  info.command_line = Text{command_line, size};
}

void add_range(std::uint64_t start, std::uint64_t size, std::uint32_t type) {
  if (type == kTypeRam && info.ram_ranges != BootInfo::kMaxRanges)
    info.ram[info.ram_ranges++] = MemoryRange{start, size};
}

void read_multiboot() {
  info.loader = "multiboot";
  const auto& from = *reinterpret_cast<const MultibootInfo*>(std::uint64_t{boot_information});
  if (from.flags & kHasCommandLine) copy_command_line(from.command_line);
  if (!(from.flags & kHasMap)) return;
  for (std::uint64_t at = from.map; at < std::uint64_t{from.map} + from.map_size;) {
    const auto& entry = *reinterpret_cast<const MultibootMapEntry*>(at);
    add_range(entry.start, entry.length, entry.type);
    at += entry.size + sizeof(entry.size);
  }
}

void read_pvh() {
  info.loader = "pvh";
  const auto& from = *reinterpret_cast<const PvhStartInfo*>(std::uint64_t{boot_information});
  copy_command_line(from.command_line);
  info.rsdp = from.rsdp;
  if (from.version < 1) return;
  const auto* entries = reinterpret_cast<const PvhMapEntry*>(from.map);
  for (std::uint32_t i = 0; i != from.map_entries; ++i) add_range(entries[i].start, entries[i].length, entries[i].type);
}

}  // namespace

std::uint64_t BootInfo::ram_bytes() const {
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i != ram_ranges; ++i) bytes += ram[i].size;
  return bytes;
}

const BootInfo& boot_info() { return info; }

MemoryRange free_memory() {
  constexpr std::uint64_t kHugePage = 2 << 20;
  constexpr std::uint64_t kDevices = std::uint64_t{3} << 30;
  const auto end = reinterpret_cast<std::uint64_t>(image_end);
  const std::uint64_t start = (end + kHugePage - 1) & ~(kHugePage - 1);
  for (std::uint32_t i = 0; i != info.ram_ranges; ++i) {
    std::uint64_t range_end = info.ram[i].start + info.ram[i].size;
    if (range_end > kDevices) range_end = kDevices;
    if (info.ram[i].start <= end && start < range_end) return MemoryRange{start, range_end - start};
  }
  return MemoryRange{start, 0};
}

// The structure decides, not EAX: QEMU's microvm firmware announces multiboot when it boots by PVH.
void read_boot_info() {
  const std::uint64_t address = boot_information;
  if (*reinterpret_cast<const std::uint32_t*>(address) == kPvhMagic) return read_pvh();
  if (boot_magic == kMultibootMagic) read_multiboot();
}

}  // namespace tintype::guest

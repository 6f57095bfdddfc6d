// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/linux_entry.h"

#include <algorithm>
#include <optional>

#include "vmm/boot/command_line.h"
#include "vmm/boot/initrd.h"

namespace tintype {

namespace {

using linux_boot::SetupHeader;
using linux_boot::ZeroPage;

/// The highest place that the kernel can reach: below the hole where there is room, above 4 GiB only where
/// the kernel says that it may be.
std::optional<std::uint64_t> initrd_place(std::uint64_t size, const SetupHeader& header, const Placement& placement) {
  const bool anywhere = (header.xload_flags & linux_boot::kCanBeLoadedAbove4G) != 0;
  const std::uint64_t memory_end = std::min(placement.memory_size(), kHoleStart);
  const std::uint64_t reach =
      anywhere ? memory_end : std::min<std::uint64_t>(memory_end, std::uint64_t{header.initrd_address_max} + 1);
  const auto low = placement.highest_free(size, kHighMemoryStart, reach);
  if (low || !anywhere || placement.memory_size() <= kHoleStart) return low;
  return placement.highest_free(size, kHoleEnd, kHoleEnd + (placement.memory_size() - kHoleStart));
}

constexpr std::uint32_t low_half(std::uint64_t value) noexcept { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t high_half(std::uint64_t value) noexcept { return static_cast<std::uint32_t>(value >> 32); }

void add_initrd(const BootRequest& request, Placement& placement, ZeroPage& page) {
  if (request.initrd.empty()) return;
  const ImageFile initrd(request.initrd, "initrd");
  const std::uint64_t start = load_initrd(initrd, initrd_place(initrd.size(), page.header, placement), placement);
  page.header.ramdisk_image = low_half(start);
  page.header.ramdisk_size = low_half(initrd.size());
  page.ext_ramdisk_image = high_half(start);
  page.ext_ramdisk_size = high_half(initrd.size());
}

void add_memory_map(std::uint64_t memory_size, ZeroPage& page) {
  const auto map = memory_map(memory_size);
  for (std::size_t i = 0; i < map.size(); ++i) {
    page.map[i] = {map[i].start, map[i].size, static_cast<std::uint32_t>(map[i].kind)};
  }
  page.map_entries = static_cast<std::uint8_t>(map.size());
}

}  // namespace

void reserve_linux_areas(Placement& placement) {
  placement.reserve({kGdtArea, kBootInfoArea, kPageTableArea, kCommandLineArea});
}

EntryState enter_linux(std::uint64_t entry, const SetupHeader& header, const BootRequest& request,
                       Placement& placement) {
  ZeroPage page{};
  page.header = header;
  page.header.loader_type = linux_boot::kUnknownLoader;
  page.header.video_mode = linux_boot::kVideoModeNormal;
  page.header.command_line = low_half(place_command_line(request.append, header.command_line_size, placement));
  page.rsdp = kAcpiArea.start;
  add_memory_map(placement.memory_size(), page);
  add_initrd(request, placement, page);
  placement.put(kBootInfoArea, bytes_of(page));
  placement.put(kPageTableArea, bytes_of(identity_page_tables()));
  EntryState state = long_mode_entry(entry, kGdtArea.start, kPageTableArea.start);
  state.rsi = kBootInfoArea.start;
  return state;
}

}  // namespace tintype

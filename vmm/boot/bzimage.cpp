// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/bzimage.h"

#include <algorithm>
#include <array>
#include <bit>

#include "vmm/base/error.h"
#include "vmm/base/overflow.h"
#include "vmm/boot/linux_entry.h"

namespace tintype {

namespace {

using linux_boot::SetupHeader;

constexpr std::uint8_t kDefaultSetupSectors = 4;

/// The header as far as the file says that it goes; what later protocols added reads as 0.
SetupHeader read_header(const ImageFile& file) {
  const auto length = file.load<std::uint8_t>(linux_boot::kHeaderLengthOffset, "setup header");
  const std::uint64_t end = linux_boot::kMagicOffset + length;
  SetupHeader header{};
  const auto bytes = std::as_writable_bytes(std::span(&header, 1));
  const auto wanted = bytes.first(std::min<std::uint64_t>(end - linux_boot::kHeaderOffset, bytes.size()));
  file.check_range(linux_boot::kHeaderOffset, wanted.size(), "setup header");
  file.read(linux_boot::kHeaderOffset, wanted);
  return header;
}

void check_protocol(const SetupHeader& header, const ImageFile& file) {
  if (header.version < linux_boot::kVersion64) {
    throw Error("{} speaks boot protocol {}.{:02}, but at least 2.12 (Linux 3.8) is needed: give a newer kernel",
                file.path(), header.version >> 8, header.version & 0xff);
  }
  if ((header.xload_flags & linux_boot::kKernel64) == 0) {
    throw Error("{} is a 32-bit Linux kernel: give one for x86-64", file.path());
  }
  if ((header.load_flags & linux_boot::kLoadedHigh) == 0) {
    throw Error("{} is a zImage, to be loaded low: build a bzImage", file.path());
  }
}

void check_placement(const SetupHeader& header, const ImageFile& file) {
  const std::uint64_t alignment = header.kernel_alignment, address = header.preferred_address;
  if (std::has_single_bit(alignment) && address % alignment == 0 && address >= kHighMemoryStart) return;
  throw Error("the setup header of {} is damaged: it prefers to be loaded at {:#x}; copy or build it again",
              file.path(), address);
}

/// The size that the header gives is rounded up to 16 bytes; the file need not be.
std::uint64_t checked_payload_size(const SetupHeader& header, std::uint64_t offset, const ImageFile& file) {
  const std::uint64_t size = header.system_size * linux_boot::kSizeUnit;
  if (size <= linux_boot::kEntry64Offset) {
    throw Error("the setup header of {} is damaged: its kernel has {} bytes; copy or build it again", file.path(),
                size);
  }
  file.check_range(offset, size - (linux_boot::kSizeUnit - 1), "protected-mode kernel");
  return std::min(size, file.size() - offset);
}

}  // namespace

BzImage parse_bzimage(const ImageFile& file) {
  BzImage image{.header = read_header(file)};
  check_protocol(image.header, file);
  check_placement(image.header, file);
  const std::uint8_t sectors = image.header.setup_sectors;
  image.payload_offset = (std::uint64_t{1} + (sectors == 0 ? kDefaultSetupSectors : sectors)) * linux_boot::kSectorSize;
  image.payload_size = checked_payload_size(image.header, image.payload_offset, file);
  image.load_address = image.header.preferred_address;
  image.memory_size = std::max<std::uint64_t>(image.header.init_size, image.payload_size);
  return image;
}

EntryState boot_bzimage(const ImageFile& file, const BootRequest& request, Placement& placement) {
  const BzImage image = parse_bzimage(file);
  reserve_linux_areas(placement);
  placement.load(file, {.image = file.path(),
                        .name = "kernel",
                        .start = image.load_address,
                        .size = image.memory_size,
                        .file_offset = image.payload_offset,
                        .file_size = image.payload_size,
                        .virtual_start = image.load_address});
  return enter_linux(image.load_address + linux_boot::kEntry64Offset, image.header, request, placement);
}

}  // namespace tintype

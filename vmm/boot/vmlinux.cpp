// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/vmlinux.h"

#include <algorithm>

#include "vmm/boot/linux_entry.h"

namespace tintype {

namespace {

constexpr std::uint32_t kCommandLineSize = 2047;  // COMMAND_LINE_SIZE of every x86 Linux, less the zero
constexpr std::uint32_t kInitrdAddressMax = 0x7fffffff;
constexpr std::uint32_t kAlignment = 2 << 20;

/// A vmlinux has lost the header that its bzImage had. What the kernel looks at is this.
linux_boot::SetupHeader plain_header() noexcept {
  linux_boot::SetupHeader header{};
  header.boot_flag = linux_boot::kBootFlag;
  header.magic = linux_boot::kMagic;
  header.version = linux_boot::kVersion64;
  header.load_flags = linux_boot::kLoadedHigh;
  header.initrd_address_max = kInitrdAddressMax;
  header.kernel_alignment = kAlignment;
  header.command_line_size = kCommandLineSize;
  return header;
}

}  // namespace

bool is_vmlinux(const ElfFile& elf) noexcept {
  return elf.is_64 && std::ranges::any_of(elf.segments, [](const ElfSegment& segment) {
           return segment.virtual_address - segment.physical == linux_boot::kKernelMap;
         });
}

EntryState boot_vmlinux(const ElfFile& elf, const ImageFile& file, const BootRequest& request, Placement& placement) {
  reserve_linux_areas(placement);
  load_elf(elf, file, placement);
  return enter_linux(physical_entry(elf, elf.entry, file), plain_header(), request, placement);
}

}  // namespace tintype

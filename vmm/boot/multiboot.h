// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "vmm/boot/elf.h"
#include "vmm/boot/entry.h"
#include "vmm/boot/image.h"
#include "vmm/boot/multiboot_spec.h"
#include "vmm/boot/placement.h"
#include "vmm/boot/request.h"

namespace tintype {

struct FoundMultibootHeader {
  multiboot::Header header{};
  std::uint64_t offset = 0;  ///< in the file
};

/// The first valid multiboot header in the beginning of a file.
std::optional<FoundMultibootHeader> find_multiboot_header(std::span<const std::byte> beginning) noexcept;

/// Loads an image that has a multiboot header and returns how to enter it. `elf` is null for an image that is
/// no ELF file, which must give addresses in its header.
EntryState boot_multiboot(const FoundMultibootHeader& found, const ElfFile* elf, const ImageFile& file,
                          const BootRequest& request, Placement& placement);

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vmm/boot/elf.h"
#include "vmm/boot/entry.h"
#include "vmm/boot/placement.h"
#include "vmm/boot/request.h"

namespace tintype {

/// Loads an ELF file that has a PVH note, with its command line, memory map and initrd, and returns how to
/// enter it.
EntryState boot_pvh(const ElfFile& elf, const ImageFile& file, const BootRequest& request, Placement& placement);

}  // namespace tintype

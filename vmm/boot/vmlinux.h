// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vmm/boot/elf.h"
#include "vmm/boot/entry.h"
#include "vmm/boot/placement.h"
#include "vmm/boot/request.h"

namespace tintype {

/// True for an unpacked 64-bit Linux kernel. It bears no mark; what tells it is that it is linked at -2 GiB
/// and loaded low.
bool is_vmlinux(const ElfFile& elf) noexcept;

/// Loads a vmlinux without a PVH note (Linux before 4.21, or built without CONFIG_PVH) and returns how to
/// enter it, by the 64-bit protocol.
EntryState boot_vmlinux(const ElfFile& elf, const ImageFile& file, const BootRequest& request, Placement& placement);

}  // namespace tintype

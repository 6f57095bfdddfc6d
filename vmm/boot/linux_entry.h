// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "vmm/boot/entry.h"
#include "vmm/boot/image.h"
#include "vmm/boot/linux_spec.h"
#include "vmm/boot/placement.h"
#include "vmm/boot/request.h"

namespace tintype {

// The half of Linux's 64-bit boot protocol that a bzImage and a vmlinux share.

/// Claims the areas that the protocol needs; to be called before the kernel is loaded.
void reserve_linux_areas(Placement& placement);

/// Loads the initrd and places page tables, command line and the zero page with `header` in it; returns how
/// to enter the kernel at `entry`. The kernel's own memory is claimed already. Nothing is added to the
/// command line: Linux finds its devices through ACPI.
EntryState enter_linux(std::uint64_t entry, const linux_boot::SetupHeader& header, const BootRequest& request,
                       Placement& placement);

}  // namespace tintype

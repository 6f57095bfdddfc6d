// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "vmm/boot/entry.h"
#include "vmm/boot/image.h"
#include "vmm/boot/placement.h"
#include "vmm/boot/request.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// A loaded kernel: how to enter it, and what lies where.
struct BootPlan {
  ImageKind kind = ImageKind::kFlat;
  EntryState entry;
  std::vector<LoadedPart> parts;
};

/// Puts kernel, initrd, command line, tables and ACPI into the memory of a machine that has not run yet (all
/// of it zero: what has to be zero is not written). Finds out the kernel's kind from its content. Throws
/// tintype::Error for everything the user can mend; guest memory is then half written and the machine has to
/// be thrown away.
BootPlan load_kernel(GuestMemory& memory, const BootRequest& request);

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vmm/boot/entry.h"
#include "vmm/boot/image.h"
#include "vmm/boot/placement.h"
#include "vmm/boot/request.h"

namespace tintype {

/// Loads a flat binary at 0x7c00, to be entered there in real mode as a boot sector is: DL is the first hard
/// disk's number, the stack lies below the image. It is told nothing else; throws tintype::Error where there
/// is an initrd. A command line is not an error: nobody reads it.
EntryState boot_flat(const ImageFile& file, const BootRequest& request, Placement& placement);

}  // namespace tintype

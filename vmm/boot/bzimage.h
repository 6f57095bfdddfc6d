// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "vmm/boot/entry.h"
#include "vmm/boot/image.h"
#include "vmm/boot/linux_spec.h"
#include "vmm/boot/placement.h"
#include "vmm/boot/request.h"

namespace tintype {

/// What a loader needs of a bzImage: a real-mode part, of which only the header matters to us, and a
/// protected-mode part that unpacks itself.
struct BzImage {
  linux_boot::SetupHeader header{};  ///< cut off where the file says that its header ends
  std::uint64_t payload_offset = 0;  ///< of the protected-mode part in the file
  std::uint64_t payload_size = 0;
  std::uint64_t load_address = 0;  ///< where the kernel wants to run, so that it need not move
  std::uint64_t memory_size = 0;   ///< what it needs there until it knows of memory
};

/// Reads and checks the header. Throws tintype::Error for what is truncated, too old, or not for 64 bits.
BzImage parse_bzimage(const ImageFile& file);

/// Loads the kernel by the 64-bit boot protocol and returns how to enter it.
EntryState boot_bzimage(const ImageFile& file, const BootRequest& request, Placement& placement);

}  // namespace tintype

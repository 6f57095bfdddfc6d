// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "guest-images/runtime/boot_info.h"

// RAM above 4 GiB, for kernels that want more than free_memory() has.
namespace tintype::guest {

// Maps what RAM there is from 4 GiB on, one to one as all the rest, and says where it is (size 0: there is none). The
// page tables for it are taken from the start of `free`, a page for each GiB in steps of 2 MiB.
MemoryRange map_high_memory(MemoryRange& free);

}  // namespace tintype::guest

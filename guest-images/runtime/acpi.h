// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/runtime/layout.h"

namespace tintype::guest {

// The machine's CPUs by the ID of their local APIC, the one that booted first.
struct CpuList {
  std::uint32_t count = 0;
  std::uint32_t apic_ids[MAX_CPUS] = {};
};

// From ACPI's MADT, which is found through what the loader said or by scanning the BIOS area. A
// machine without one has the CPUs that `cpus=` says (1 if it does not), numbered from zero.
CpuList find_cpus();

// Where the machine's generation ID lies: 16 bytes, other ones whenever it comes back from a checkpoint. 0 where there
// is none.
std::uint64_t find_generation();

}  // namespace tintype::guest

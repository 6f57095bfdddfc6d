// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/runtime/text.h"

namespace tintype::guest {

struct MemoryRange {
  std::uint64_t start = 0;
  std::uint64_t size = 0;
};

// What the loader told us, whichever loader it was. Everything is copied out of the loader's
// structures, so that their memory can be used for something else.
struct BootInfo {
  static constexpr std::uint32_t kMaxRanges = 32;

  Text loader = "nobody";  // "pvh" or "multiboot"
  Text command_line;
  std::uint64_t rsdp = 0;       // ACPI's root pointer; zero where the loader gives none
  MemoryRange ram[kMaxRanges];  // usable memory only
  std::uint32_t ram_ranges = 0;

  std::uint64_t ram_bytes() const;
};

const BootInfo& boot_info();

// Memory that nobody uses: from the end of the image (rounded up to 2 MiB) to the end of the RAM
// that it lies in, or to 3 GiB.
MemoryRange free_memory();

// Called once by the runtime before anything else.
void read_boot_info();

}  // namespace tintype::guest

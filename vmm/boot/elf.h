// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "vmm/boot/image.h"
#include "vmm/boot/placement.h"

namespace tintype {

/// A program header of type PT_LOAD, of either class.
struct ElfSegment {
  std::uint64_t file_offset = 0;
  std::uint64_t file_size = 0;
  std::uint64_t physical = 0;
  std::uint64_t virtual_address = 0;
  std::uint64_t memory_size = 0;
};

/// What a loader needs of an ELF executable.
struct ElfFile {
  bool is_64 = false;
  std::uint64_t entry = 0;
  std::vector<ElfSegment> segments;        ///< those that take memory; at least one
  std::optional<std::uint32_t> pvh_entry;  ///< from the note XEN_ELFNOTE_PHYS32_ENTRY
};

/// Reads headers and notes, and checks them: throws tintype::Error for what is truncated, damaged, or no x86
/// kernel.
ElfFile parse_elf(const ImageFile& file);

/// Reads the segments into guest memory at their physical addresses. Memory past a segment's file part is
/// left as it is: zero, in a new machine.
void load_elf(const ElfFile& elf, const ImageFile& file, Placement& placement);

/// Where the entry point is in guest physical memory. Some kernels give a virtual address. Throws
/// tintype::Error where it is in no segment.
std::uint64_t physical_entry(const ElfFile& elf, std::uint64_t entry, const ImageFile& file);

}  // namespace tintype

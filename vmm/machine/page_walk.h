// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "vmm/memory/guest_memory.h"

namespace tintype {

/// Copies out of guest physical memory: a machine's, or that of a checkpoint. False, and nothing copied, where the
/// range is not memory.
using ReadPhysical = std::function<bool(Gpa from, std::span<std::byte> into)>;
ReadPhysical physical(const GuestMemory& memory);

/// An entry of a page table that a walk came by.
struct PageWalkStep {
  int level = 0;  ///< of its table: 1 is the last
  Gpa at;
  std::uint64_t entry = 0;
};

/// The guest physical address behind a linear address, by walking the guest's page tables as the CPU would (Intel SDM
/// volume 3, chapter 4: no paging, 32-bit, PAE, 4 and 5 levels). Nothing where it is not mapped. `steps`, where it is
/// given, gets the entries on the way.
std::optional<Gpa> translate(const ReadPhysical& memory, const kvm_sregs& sregs, std::uint64_t linear,
                             std::vector<PageWalkStep>* steps = nullptr);

/// Up to `count` bytes at a linear address, as many as are mapped memory.
std::vector<std::uint8_t> read_linear(const ReadPhysical& memory, const kvm_sregs& sregs, std::uint64_t linear,
                                      std::size_t count);
/// All of them, or, where some are not mapped memory, none.
[[nodiscard]] bool write_linear(GuestMemory& memory, const kvm_sregs& sregs, std::uint64_t linear,
                                std::span<const std::byte> bytes);

}  // namespace tintype

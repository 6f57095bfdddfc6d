// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "vmm/memory/guest_memory.h"

namespace tintype {

/// The guest physical address behind a linear address, by walking the guest's page tables as the CPU would (Intel SDM
/// volume 3, chapter 4: no paging, 32-bit, PAE, 4 and 5 levels). Nothing where it is not mapped.
std::optional<Gpa> translate(const GuestMemory& memory, const kvm_sregs& sregs, std::uint64_t linear);

/// Up to `count` bytes at a linear address, as many as are mapped memory.
std::vector<std::uint8_t> read_linear(const GuestMemory& memory, const kvm_sregs& sregs, std::uint64_t linear,
                                      std::size_t count);

}  // namespace tintype

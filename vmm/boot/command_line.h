// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "vmm/boot/request.h"

namespace tintype {

class Placement;

/// The command line with `virtio_mmio.device=4K@0xd0000000:5` for each slot, for kernels that do not read
/// ACPI. Where the user wrote such an option himself nothing is added.
std::string with_virtio_slots(const std::string& append, const std::vector<VirtioSlot>& slots);

/// Puts the line, with its final zero, into kCommandLineArea, and returns its address. `limit` is the longest
/// that this kernel takes, without the zero. Throws tintype::Error where it is longer, or holds a zero byte.
std::uint64_t place_command_line(const std::string& line, std::uint64_t limit, Placement& placement);

/// The longest line that there is room for.
std::uint64_t command_line_limit() noexcept;

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "vmm/boot/image.h"
#include "vmm/boot/placement.h"

namespace tintype {

/// Reads the initrd to `place` and returns it. Throws tintype::Error where there is no place, that is, too
/// little memory.
std::uint64_t load_initrd(const ImageFile& initrd, std::optional<std::uint64_t> place, Placement& placement);

}  // namespace tintype

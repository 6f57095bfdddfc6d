// SPDX-License-Identifier: Apache-2.0
#pragma once

// Documentation/x86/boot.rst and zero-page.rst of Linux.

#include <cstdint>

namespace tintype {

inline constexpr std::uint64_t kLinuxMagicOffset = 0x202;  ///< "HdrS"

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tintype::guest {

// What each test kernel defines. It runs on the first CPU, in ring 3; what it returns is given
// to debug_exit().
std::uint8_t kernel_main();

// Leaves the machine: QEMU's and Tintype's exit status is `code` << 1 | 1.
[[noreturn]] void debug_exit(std::uint8_t code);

}  // namespace tintype::guest

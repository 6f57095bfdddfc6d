// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/runtime/text.h"

// The command line, read as words of the form `key=value`. Anything else on it is left alone.
namespace tintype::guest {

// The value of the nth `key=` on the command line, counted from zero; not present() if there are
// fewer.
Text option(Text key, std::uint32_t nth = 0);

// The value of `key=` as a number, or `fallback`.
std::uint64_t number_option(Text key, std::uint64_t fallback);

}  // namespace tintype::guest

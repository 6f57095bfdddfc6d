// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace tintype {

/// An input of the fuzz target that this program is linked with, which gets further into it than random bytes
/// would.
std::vector<std::uint8_t> generate_input(std::mt19937_64& random);

}  // namespace tintype

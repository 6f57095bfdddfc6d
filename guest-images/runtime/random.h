// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tintype::guest {

// Scrambles the bits of a number so that near ones come out far apart (the finaliser of
// MurmurHash3). One to one, so different numbers stay different.
constexpr std::uint64_t mix(std::uint64_t value) {
  value = (value ^ value >> 33) * 0xff51afd7ed558ccd;
  value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53;
  return value ^ value >> 33;
}

// Different each time the machine starts: from the CPU's random numbers where it has them, the
// clock on the board and the TSC. Good enough to tell runs apart, and for nothing else.
std::uint64_t random_number();

}  // namespace tintype::guest

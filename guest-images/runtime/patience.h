// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/runtime/cpu.h"

namespace tintype::guest {

// Waits, spinning, for something that must happen soon; false if it does not within `cycles` of
// time *in which this CPU ran*. A gap in which the whole machine stood still, be it for a pause or
// because it was restored from a checkpoint, does not count, so nobody loses patience over it.
template <typename Condition>
bool comes_true(Condition condition, std::uint64_t cycles) {
  constexpr std::uint64_t kGap = 1 << 22;
  std::uint64_t felt = 0;
  for (std::uint64_t last = read_tsc(); felt < cycles; cpu_relax()) {
    if (condition()) return true;
    const std::uint64_t now = read_tsc();
    if (now - last < kGap) felt += now - last;
    last = now;
  }
  return false;
}

}  // namespace tintype::guest

// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/felt.h"

#include "guest-images/runtime/console.h"

namespace tintype::guest {

void WorkLines::print_line(std::uint64_t now, Felt* felt, std::uint32_t cpus) {
  Work work;
  for (std::uint32_t cpu = 0; cpu != cpus; ++cpu) felt[cpu].take(work);
  print("WORK t_us=", clock_.microseconds(now - start_), " pages=", work.pages,
        " gap_us=", clock_.microseconds(work.gap), " over_100us=", work.gaps[0], " over_1ms=", work.gaps[1],
        " over_10ms=", work.gaps[2], "\n");
}

}  // namespace tintype::guest

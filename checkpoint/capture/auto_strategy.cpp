// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/auto_strategy.h"

#include <fmt/format.h>

namespace tintype {

// A guest that writes to all of its memory while it is copied makes a second one of it out of a fork.
StrategyChoice choose_strategy(const CaptureSituation& situation) {
  if (situation.userfault.write_protect)
    return {Strategy::kCow, "memory can be write-protected, and the guest waits for what it writes to only"};
  if (situation.guest_bytes <= situation.host_bytes)
    return {Strategy::kFork, fmt::format("memory cannot be write-protected: {}", situation.userfault.problem)};
  return {Strategy::kStop,
          fmt::format("the host has {} MiB left, too little to copy {} MiB on write; and memory cannot be "
                      "write-protected: {}",
                      situation.host_bytes >> 20, situation.guest_bytes >> 20, situation.userfault.problem)};
}

}  // namespace tintype

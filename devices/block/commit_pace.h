// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>

namespace tintype {

/// Between two of its steps the committing thread leaves the host's disk to the guest while requests of it are in
/// flight, but no longer than its own step took: under any load the stack gets short at half the speed at least.
struct CommitPace {
  using Duration = std::chrono::steady_clock::duration;
  static constexpr Duration kLongest = std::chrono::milliseconds(10);
  static constexpr Duration kLook = std::chrono::microseconds(200);

  /// `guest_waits` says whether requests are in flight; `sleep` takes a Duration, and returns how long it took in fact.
  template <typename GuestWaits, typename Sleep>
  static void leave_disk_to_guest(Duration step, const GuestWaits& guest_waits, const Sleep& sleep) {
    Duration left = std::min(step, kLongest);
    while (left > Duration::zero() && guest_waits()) left -= sleep(std::min(left, kLook));
  }
};

}  // namespace tintype

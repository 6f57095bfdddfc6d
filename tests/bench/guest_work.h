// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "tests/support/tintype_process.h"

namespace tintype::test {

/// A WORK line of `staircase` or `hotset`: what the guest did in an interval, in its own time.
struct WorkInterval {
  double microseconds = 0, pages = 0, gap_us = 0;
  double over_1ms = 0;  ///< gaps so long
  double at_ms = 0;     ///< when it ended: our time since the disturbance began
};

/// What a checkpoint cost the guest.
struct GuestCost {
  double lost_ms = 0;  ///< undisturbed work that was not done, as time
  double longest_gap_us = 0;
  double over_1ms = 0;      ///< gaps so long
  double rate = 0;          ///< pages a microsecond, undisturbed, just before
  double disturbed_ms = 0;  ///< how long the disturbance took
  std::vector<WorkInterval> intervals;
};

/// Watches a guest while `disturb` runs, and until its rate is back.
class WorkMeter {
 public:
  explicit WorkMeter(MachineProcess& guest) : guest_(guest) {}
  /// What `disturb` throws is thrown here.
  GuestCost measure(const std::function<void()>& disturb);

 private:
  using Clock = std::chrono::steady_clock;

  std::vector<WorkInterval> read_intervals(std::chrono::milliseconds span);
  double undisturbed_rate();

  MachineProcess& guest_;
  Clock::time_point origin_ = Clock::now();
  double last_t_us_ = 0;
};

}  // namespace tintype::test

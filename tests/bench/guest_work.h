// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "tests/support/tintype_process.h"

namespace tintype::test {

/// A line of `staircase`: what the guest did in an interval, in its own time.
struct WorkInterval {
  double microseconds = 0, pages = 0, gap_us = 0;
};

/// What a checkpoint cost the guest.
struct GuestCost {
  double lost_ms = 0;  ///< undisturbed work that was not done, as time
  double longest_gap_us = 0;
  double rate = 0;  ///< pages a microsecond, undisturbed, just before
};

/// Watches a staircase guest while `disturb` runs, and until its rate is back.
class WorkMeter {
 public:
  explicit WorkMeter(MachineProcess& guest) : guest_(guest) {}
  GuestCost measure(const std::function<void()>& disturb);

 private:
  std::vector<WorkInterval> read_intervals(std::chrono::milliseconds span);
  MachineProcess& guest_;
  double last_t_us_ = 0;
};

double median(std::vector<double> values);
double highest(const std::vector<double>& values);

}  // namespace tintype::test

// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/guest_work.h"

#include <algorithm>
#include <cstdio>
#include <future>
#include <stdexcept>

#include "tests/bench/statistics.h"

namespace tintype::test {

namespace {

using namespace std::chrono_literals;

constexpr auto kStale = 200ms;
constexpr auto kBefore = 1500ms;  // to learn the undisturbed rate
constexpr auto kAfter = 1000ms;   // for the rate to come back

void add_up(GuestCost& cost) {
  for (const WorkInterval& interval : cost.intervals) {
    cost.lost_ms += (interval.microseconds - interval.pages / cost.rate) / 1000;
    cost.longest_gap_us = std::max(cost.longest_gap_us, interval.gap_us);
    cost.over_1ms += interval.over_1ms;
  }
}

}  // namespace

std::vector<WorkInterval> WorkMeter::read_intervals(std::chrono::milliseconds span) {
  const auto until = Clock::now() + span;
  std::vector<WorkInterval> intervals;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    const auto line = guest_.wait_for("WORK ", std::max(left, 0ms));
    if (!line) return intervals;
    double t_us = 0, over_100us = 0;
    WorkInterval interval;
    if (std::sscanf(line->c_str(), "WORK t_us=%lf pages=%lf gap_us=%lf over_100us=%lf over_1ms=%lf", &t_us,
                    &interval.pages, &interval.gap_us, &over_100us, &interval.over_1ms) != 5)
      continue;
    interval.microseconds = t_us - last_t_us_;
    interval.at_ms = milliseconds_since(origin_);
    last_t_us_ = t_us;
    intervals.push_back(interval);
  }
}

double WorkMeter::undisturbed_rate() {
  read_intervals(kStale);
  std::vector<double> rates;
  for (const WorkInterval& interval : read_intervals(kBefore)) rates.push_back(interval.pages / interval.microseconds);
  if (rates.empty() || median(rates) <= 0) throw std::runtime_error("the guest does no work");
  return median(rates);
}

GuestCost WorkMeter::measure(const std::function<void()>& disturb) {
  GuestCost cost;
  cost.rate = undisturbed_rate();
  origin_ = Clock::now();
  auto disturbed = std::async(std::launch::async, [&] {
    disturb();
    return milliseconds_since(origin_);
  });
  const auto collect = [&](std::chrono::milliseconds span) {
    for (const WorkInterval& interval : read_intervals(span)) cost.intervals.push_back(interval);
  };
  while (disturbed.wait_for(0s) != std::future_status::ready) collect(50ms);
  collect(kAfter);
  cost.disturbed_ms = disturbed.get();
  add_up(cost);
  return cost;
}

}  // namespace tintype::test

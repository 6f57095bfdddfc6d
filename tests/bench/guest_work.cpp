// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/guest_work.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <thread>

namespace tintype::test {

namespace {
constexpr auto kBefore = std::chrono::milliseconds(1500);  // to learn the undisturbed rate
constexpr auto kAfter = std::chrono::milliseconds(1000);   // for the rate to come back
}  // namespace

std::vector<WorkInterval> WorkMeter::read_intervals(std::chrono::milliseconds span) {
  const auto until = std::chrono::steady_clock::now() + span;
  std::vector<WorkInterval> intervals;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    const auto line = guest_.wait_for("WORK ", std::max(left, std::chrono::milliseconds(0)));
    if (!line) return intervals;
    double t_us = 0;
    WorkInterval interval;
    if (std::sscanf(line->c_str(), "WORK t_us=%lf pages=%lf gap_us=%lf", &t_us, &interval.pages, &interval.gap_us) != 3)
      continue;
    interval.microseconds = t_us - last_t_us_;
    last_t_us_ = t_us;
    intervals.push_back(interval);
  }
}

GuestCost WorkMeter::measure(const std::function<void()>& disturb) {
  read_intervals(std::chrono::milliseconds(200));  // stale lines
  std::vector<double> rates;
  for (const WorkInterval& interval : read_intervals(kBefore)) rates.push_back(interval.pages / interval.microseconds);
  if (rates.empty()) throw std::runtime_error("the guest prints no WORK lines");
  GuestCost cost;
  cost.rate = median(rates);
  std::vector<WorkInterval> during;
  std::atomic<bool> done = false;
  std::thread worker([&] {
    disturb();
    done = true;
  });
  const auto collect = [&](std::chrono::milliseconds span) {
    for (const WorkInterval& interval : read_intervals(span)) during.push_back(interval);
  };
  while (!done) collect(std::chrono::milliseconds(50));
  worker.join();
  collect(kAfter);
  for (const WorkInterval& interval : during) {
    cost.lost_ms += (interval.microseconds - interval.pages / cost.rate) / 1000;
    cost.longest_gap_us = std::max(cost.longest_gap_us, interval.gap_us);
  }
  return cost;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double highest(const std::vector<double>& values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

}  // namespace tintype::test

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tests/bench/measurements.h"
#include "tests/bench/plain.h"

namespace tintype::test {

namespace {

constexpr int kSetsMiB[] = {4, 16, 64, 256, 768};
constexpr int kMachineMiB = 1024;  // all of it touched; what is not hot, once

/// The strategy that the goals are for comes first.
std::vector<Series> nothing_yet(int hot_mib, const std::string& strategy) {
  const std::string workload = fmt::format("{} MiB hot", hot_mib);
  std::vector<Series> series = {{workload, strategy, {}}};
  for (const char* name : {"hybrid", "stop", kQemuLive})
    if (name != strategy) series.push_back({workload, name, {}});
  return series;
}

void capture_in_turn(Series& series, Place& place, const Workload& workload) {
  const Contender& chosen = contender(series.contender);
  const auto guest = chosen.start(workload);
  WorkMeter meter(guest->process());
  for (int i = 0; i < chosen.captures_a_turn; ++i) series.samples.push_back(capture_once(meter, *guest, place));
}

}  // namespace

void measure_sets(Results& results, Place& place, int rounds) {
  for (const int mib : kSetsMiB) results.by_set.push_back({mib, {}, nothing_yet(mib, results.strategy)});
  for (int round = 1; round <= rounds; ++round) {
    for (CostBySet& set : results.by_set) {
      set.memcpy_ms.push_back(memcpy_ms(static_cast<std::uint64_t>(set.hot_mib) << 20));
      for (Series& series : set.series) {
        fmt::print(stderr, "round {} of {}: {}, {}\n", round, rounds, series.workload, series.contender);
        capture_in_turn(series, place, hot_set(series.workload, kMachineMiB, set.hot_mib));
      }
    }
  }
}

}  // namespace tintype::test

// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/results.h"

namespace tintype::test {

std::vector<double> Series::pauses_us() const {
  return each([](const Sample& sample) { return sample.report.pause_us; });
}

std::vector<double> Series::lost_ms() const {
  return each([](const Sample& sample) { return sample.cost.lost_ms; });
}

std::vector<double> Series::gaps_us() const {
  return each([](const Sample& sample) { return sample.cost.longest_gap_us; });
}

const Series* Results::find(const std::string& workload, const std::string& contender) const {
  for (const Series& one : series)
    if (one.workload == workload && one.contender == contender) return &one;
  return nullptr;
}

Series& Results::of(const std::string& workload, const std::string& contender) {
  if (const Series* found = find(workload, contender)) return const_cast<Series&>(*found);
  return series.emplace_back(Series{workload, contender, {}});
}

}  // namespace tintype::test

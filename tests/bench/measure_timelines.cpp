// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tests/bench/measurements.h"

namespace tintype::test {

void measure_timelines(Results& results, Place& place) {
  Workload swept = workloads().front();
  swept.options += " interval_ms=20";  // to see it close by
  for (const std::string& name : {results.strategy, std::string(kQemuLive), std::string(kQemuStop)}) {
    fmt::print(stderr, "work over time: {}\n", name);
    const auto guest = contender(name).start(swept);
    WorkMeter meter(guest->process());
    const std::filesystem::path destination = place.unused();
    results.timelines.push_back({name, meter.measure([&] { guest->capture(destination); })});
    std::filesystem::remove_all(destination);
  }
}

}  // namespace tintype::test

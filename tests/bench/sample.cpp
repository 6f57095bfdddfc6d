// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/sample.h"

namespace tintype::test {

Sample capture_once(WorkMeter& meter, RunningGuest& guest, Place& place) {
  Sample sample;
  const std::filesystem::path destination = place.unused();
  sample.cost = meter.measure([&] { sample.report = guest.capture(destination); });
  sample.cost.intervals.clear();
  std::filesystem::remove_all(destination);
  return sample;
}

}  // namespace tintype::test

// SPDX-License-Identifier: Apache-2.0
#include "vmm/watch/machine_watch.h"

#include <doctest/doctest.h>

using namespace tintype;
using namespace std::chrono_literals;

namespace {

StatusReport counted(std::uint64_t exits, std::uint64_t bytes) {
  StatusReport status;
  status.exits = exits;
  status.disks.resize(2);
  status.disks[0].bytes_read = bytes;
  status.disks[1].bytes_read = bytes;
  return status;
}

}  // namespace

TEST_CASE("rates are what came since the last look, by the time between, of all disks together") {
  RateMeter meter;
  const auto start = RateMeter::Clock::time_point(1h);
  CHECK(meter.take(counted(5000, 0), start).rates.exits == 0);
  const WatchSample sample = meter.take(counted(5300, 1024), start + 500ms);
  CHECK(sample.rates.exits == doctest::Approx(600));
  CHECK(sample.rates.bytes_read == doctest::Approx(4096));
  CHECK(sample_to_json(sample)["per_second"]["exits"].get<double>() == doctest::Approx(600));
  CHECK(sample_to_json(sample)["status"]["exits"] == 5300);
}

TEST_CASE("a count that goes back, and two looks at one time, give no rate") {
  RateMeter meter;
  const auto start = RateMeter::Clock::time_point(1h);
  static_cast<void>(meter.take(counted(100, 0), start));
  CHECK(meter.take(counted(10, 0), start + 1s).rates.exits == 0);
  CHECK(meter.take(counted(1000, 0), start + 1s).rates.exits == 0);
  CHECK(meter.take(counted(1010, 0), start + 2s).rates.exits == doctest::Approx(10));
}

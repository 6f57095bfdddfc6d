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

TEST_CASE("what KVM does not count has no rate, which is null for programs") {
  RateMeter meter;
  const auto start = RateMeter::Clock::time_point(1h);
  StatusReport status = counted(0, 0);
  CHECK(sample_to_json(meter.take(status, start))["per_second"]["interrupts"].is_null());
  CHECK_FALSE(meter.take(status, start + 1s).rates.page_faults);
  status.interrupts = 100;
  CHECK_FALSE(meter.take(status, start + 2s).rates.interrupts);
  status.interrupts = 150;
  CHECK(meter.take(status, start + 3s).rates.interrupts == doctest::Approx(50));
}

TEST_CASE("dirty pages are what a checkpoint found, by the time since the one that it builds on") {
  RateMeter meter;
  const auto event = [](std::uint64_t id, std::uint64_t parent, std::uint64_t pages, std::uint64_t sealed_at_ms,
                        std::uint64_t total_ms, const char* repository = "/r") {
    return nlohmann::json{{"event", "checkpoint"},
                          {"uptime_ms", sealed_at_ms},
                          {"checkpoint",
                           {{"id", id},
                            {"parent", parent},
                            {"repository", repository},
                            {"prepare_ms", 10},
                            {"total_ms", total_ms},
                            {"memory", {{"pages_written", pages}, {"pages_zero", 100}}}}}};
  };
  const auto dirty = [&] { return meter.take(counted(0, 0), RateMeter::Clock::now()).rates.dirty_pages; };
  CHECK_FALSE(dirty());
  meter.note(event(1, 0, 9000, 1000, 910));  // all of memory, which says nothing; of the instant 100
  CHECK_FALSE(dirty());
  CHECK(sample_to_json(meter.take(counted(0, 0), RateMeter::Clock::now()))["per_second"]["dirty_pages"].is_null());
  meter.note(event(2, 1, 900, 1120, 30));  // of the instant 1100
  CHECK(dirty() == doctest::Approx(1000));
  meter.note({{"event", "paused"}, {"uptime_ms", 1300}});
  meter.note(nlohmann::json::object());
  meter.note(event(7, 6, 50000, 1220, 30, "/other"));  // since when, nobody has said
  CHECK(dirty() == doctest::Approx(1000));
  meter.note(event(3, 2, 50000, 1320, 30));  // likewise
  CHECK(dirty() == doctest::Approx(1000));
  meter.note(event(4, 3, 100, 1420, 30));
  CHECK(dirty() == doctest::Approx(2000));
}

TEST_CASE("a count that goes back, and two looks at one time, give no rate") {
  RateMeter meter;
  const auto start = RateMeter::Clock::time_point(1h);
  static_cast<void>(meter.take(counted(100, 0), start));
  CHECK(meter.take(counted(10, 0), start + 1s).rates.exits == 0);
  CHECK(meter.take(counted(1000, 0), start + 1s).rates.exits == 0);
  CHECK(meter.take(counted(1010, 0), start + 2s).rates.exits == doctest::Approx(10));
}

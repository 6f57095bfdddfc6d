// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tests/bench/measurements.h"
#include "tests/bench/statistics.h"
#include "tests/bench/tintype_guest.h"

namespace tintype::test {

namespace {

constexpr int kTouchedMiB = 1024;

/// Checkpoints, each built on the one before, until the time is over.
void run_back_to_back(Incremental& figures, TintypeGuest& guest, const std::filesystem::path& repository,
                      double seconds) {
  const auto start = std::chrono::steady_clock::now();
  while (milliseconds_since(start) < seconds * 1000) {
    const CaptureReport report = guest.capture(repository);
    figures.total_ms.push_back(report.durable_ms);
    figures.memory_bytes.push_back(report.bytes);
    figures.pauses_us.push_back(report.pause_us);
  }
  figures.a_second = static_cast<double>(figures.total_ms.size()) * 1000 / milliseconds_since(start);
}

Incremental measure(const std::string& strategy, const Workload& workload, Place& place, double seconds) {
  fmt::print(stderr, "incremental checkpoints: {}\n", workload.name);
  Incremental figures;
  figures.workload = workload.name;
  TintypeGuest guest(workload, {.strategy = strategy});
  const std::filesystem::path repository = place.unused();
  guest.capture(repository);
  guest.set_full(false);
  guest.capture(repository);
  const std::uint64_t before = bytes_in(repository);
  WorkMeter meter(guest.process());
  const GuestCost cost = meter.measure([&] { run_back_to_back(figures, guest, repository, seconds); });
  figures.guest_speed = 1 - cost.lost_ms / cost.disturbed_ms;
  figures.bytes_each =
      static_cast<double>(bytes_in(repository) - before) / static_cast<double>(figures.total_ms.size());
  std::filesystem::remove_all(repository);
  return figures;
}

}  // namespace

void measure_incremental(Results& results, Place& place, double seconds) {
  results.incremental.push_back(measure(results.strategy, hot_set("4 MiB hot", kTouchedMiB, 4), place, seconds));
  results.incremental.push_back(measure(results.strategy, hot_set("nothing", kTouchedMiB, 0), place, seconds));
}

}  // namespace tintype::test

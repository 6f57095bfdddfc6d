// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "tests/bench/measurements.h"
#include "tests/bench/statistics.h"
#include "tests/bench/tintype_guest.h"

namespace tintype::test {

namespace {

constexpr int kTouchedMiB = 1024;

/// Guests that write to so much; and how many checkpoints a second are asked for.
constexpr int kPacedHotMiB[] = {4, 16};
constexpr double kPaces[] = {20, 40};
constexpr std::uint64_t kDiskBytes = 64 << 20;

/// Checkpoints, each built on the one before, until the time is over. A beat that comes while one is taken is left out.
void run_until(Incremental& figures, TintypeGuest& guest, const std::filesystem::path& repository, double seconds) {
  const auto start = std::chrono::steady_clock::now();
  const double beat_ms = figures.asked_a_second > 0 ? 1000 / figures.asked_a_second : 0;
  for (double next_ms = 0; milliseconds_since(start) < seconds * 1000;) {
    std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(next_ms - milliseconds_since(start)));
    while (beat_ms > 0 && next_ms <= milliseconds_since(start)) next_ms += beat_ms;
    const CaptureReport report = guest.capture(repository);
    figures.total_ms.push_back(report.durable_ms);
    figures.memory_bytes.push_back(report.bytes);
    figures.pauses_us.push_back(report.pause_us);
  }
  figures.a_second = static_cast<double>(figures.total_ms.size()) * 1000 / milliseconds_since(start);
}

Incremental measure(const Workload& workload, Place& place, double seconds, const TintypeGuest::Capture& how,
                    double asked_a_second = 0) {
  fmt::print(stderr, "incremental checkpoints: {}\n", workload.name);
  Incremental figures;
  figures.workload = workload.name;
  figures.asked_a_second = asked_a_second;
  TintypeGuest guest(workload, how);
  const std::filesystem::path repository = place.unused();
  guest.capture(repository);
  guest.set_full(false);
  guest.capture(repository);
  const std::uint64_t before = bytes_in(repository);
  WorkMeter meter(guest.process());
  const GuestCost cost = meter.measure([&] { run_until(figures, guest, repository, seconds); });
  figures.guest_speed = 1 - cost.lost_ms / cost.disturbed_ms;
  figures.bytes_each =
      static_cast<double>(bytes_in(repository) - before) / static_cast<double>(figures.total_ms.size());
  std::filesystem::remove_all(repository);
  return figures;
}

}  // namespace

void measure_incremental(Results& results, Place& place, double seconds) {
  const TintypeGuest::Capture how{.strategy = results.strategy};
  results.incremental.push_back(measure(hot_set("4 MiB hot", kTouchedMiB, 4), place, seconds, how));
  results.incremental.push_back(measure(hot_set("nothing", kTouchedMiB, 0), place, seconds, how));
}

void measure_paced(Results& results, double seconds) {
  Place memory("/dev/shm");
  TintypeGuest::Capture how{.strategy = results.strategy};
  for (int disk = 0; disk < 2; ++disk) {
    how.disks.push_back(memory.unused());
    std::ofstream image(how.disks.back());
    std::filesystem::resize_file(how.disks.back(), kDiskBytes);
  }
  for (const int hot : kPacedHotMiB) {
    for (const double pace : kPaces) {
      const std::string name = fmt::format("{} MiB hot, {} a second", hot, pace);
      results.paced.push_back(measure(hot_set(name, kTouchedMiB, hot), memory, seconds, how, pace));
    }
  }
}

}  // namespace tintype::test

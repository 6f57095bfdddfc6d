// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "tests/bench/measurements.h"
#include "tests/bench/tintype_guest.h"
#include "vmm/base/io.h"

namespace tintype::test {

namespace {

constexpr int kSizesMiB[] = {256, 1024, 4096, 12288};
constexpr int kHotMiB = 16;
constexpr int kCapturesInTurn = 5;   // a turn
constexpr int kHostSpareMiB = 3072;  // for capture area, destination and everybody else

double available_mib() {
  const std::string text = read_text_file("/proc/meminfo");
  return std::stod(text.substr(text.find("MemAvailable:") + 13)) / 1024;
}

/// Compressed, so that the destination stays small: the memory of this guest is nearly all zeros. What comes after the
/// pause does not change the pause.
std::vector<double> pauses(int mib, const std::string& strategy, Place& place) {
  TintypeGuest guest(hot_set("", mib, kHotMiB), {.strategy = strategy, .compression = "lz4"});
  std::vector<double> pauses_us;
  for (int i = 0; i < kCapturesInTurn; ++i) {
    const std::filesystem::path destination = place.unused();
    pauses_us.push_back(guest.capture(destination).pause_us);
    std::filesystem::remove_all(destination);
  }
  return pauses_us;
}

void add(Results& results, int mib, const std::string& strategy, const std::vector<double>& pauses_us) {
  const auto same = [&](const PauseBySize& one) { return one.mib == mib && one.strategy == strategy; };
  auto found = std::find_if(results.by_size.begin(), results.by_size.end(), same);
  if (found == results.by_size.end()) found = results.by_size.insert(found, {mib, strategy, {}});
  found->pauses_us.insert(found->pauses_us.end(), pauses_us.begin(), pauses_us.end());
}

std::vector<std::string> compared_strategies(const Results& results) {
  std::vector<std::string> names = {results.strategy};
  if (results.strategy != "fork") names.emplace_back("fork");
  return names;
}

}  // namespace

void measure_sizes(Results& results, Place& place, int rounds, int largest_mib) {
  for (int round = 1; round <= rounds; ++round) {
    for (const int mib : kSizesMiB) {
      if (mib > largest_mib) continue;
      if (available_mib() < mib + kHostSpareMiB) {
        fmt::print(stderr, "{} MiB: left out, the host has only {:.0f} MiB to spare\n", mib, available_mib());
        continue;
      }
      for (const std::string& strategy : compared_strategies(results)) {
        fmt::print(stderr, "round {} of {}: pause with {} MiB, {}\n", round, rounds, mib, strategy);
        add(results, mib, strategy, pauses(mib, strategy, place));
      }
    }
  }
}

}  // namespace tintype::test

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tests/bench/measurements.h"
#include "tests/bench/plain.h"

namespace tintype::test {

namespace {

/// A plain write of as many bytes, beside the same running guest.
void compare_with_plain(PlainFigures& plain, const Sample& sample, Place& place) {
  plain.capture_ms.push_back(sample.report.durable_ms);
  plain.write_ms.push_back(plain_write_ms(place.unused(), static_cast<std::uint64_t>(sample.report.bytes)));
}

void take_turn(Results& results, Place& place, const Workload& workload, const Contender& contender) {
  const auto guest = contender.start(workload);
  WorkMeter meter(guest->process());
  for (int i = 0; i < contender.captures_a_turn; ++i) {
    Sample sample = capture_once(meter, *guest, place);
    if (contender.name == results.strategy) compare_with_plain(results.plain, sample, place);
    results.of(workload.name, contender.name).samples.push_back(std::move(sample));
  }
}

}  // namespace

void measure_contenders(Results& results, Place& place, int rounds, std::size_t choose) {
  for (int round = 1; round <= rounds; ++round) {
    results.plain.memcpy_ms.push_back(memcpy_ms(static_cast<std::uint64_t>(kSweptMiB) << 20));
    for (std::size_t i = 0; i < workloads().size() && i < choose; ++i) {
      for (const Contender& contender : contenders()) {
        fmt::print(stderr, "round {} of {}: {}, {}\n", round, rounds, workloads()[i].name, contender.name);
        take_turn(results, place, workloads()[i], contender);
      }
    }
  }
}

}  // namespace tintype::test

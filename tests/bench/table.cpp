// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/table.h"

#include <algorithm>

#include <fmt/format.h>

#include "tests/bench/statistics.h"

namespace tintype::test {

namespace {

/// A figure that nobody gave is a dash.
std::string cell(const std::vector<double>& values, double scale, int digits, double (*pick)(std::vector<double>)) {
  return values.empty() ? "-" : fmt::format("{:.{}f}", pick(values) / scale, digits);
}

void print_series(const Series& series) {
  const auto copies = series.each([](const Sample& sample) { return sample.report.copy_ms; });
  const auto durable = series.each([](const Sample& sample) { return sample.report.durable_ms; });
  const auto faults = series.each([](const Sample& sample) { return sample.report.faults; });
  const auto long_gaps = series.each([](const Sample& sample) { return sample.cost.over_1ms; });
  fmt::print("{:<10} {:<10} {:>4} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9} {:>7}\n", series.workload,
             series.contender, series.samples.size(), cell(series.pauses_us(), 1000, 2, median),
             cell(series.pauses_us(), 1000, 2, p99), cell(series.lost_ms(), 1, 0, median),
             cell(series.gaps_us(), 1000, 1, median), cell(series.gaps_us(), 1000, 1, p99),
             cell(long_gaps, 1, 0, median), cell(copies, 1, 0, median), cell(durable, 1, 0, median),
             cell(faults, 1, 0, median));
}

void print_contenders(const Results& results) {
  fmt::print("{:<10} {:<10} {:>4} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9} {:>7}\n", "workload", "capture", "n",
             "pause ms", "p99", "lost ms", "gap ms", "p99", ">1 ms", "copy ms", "durable", "faults");
  for (const Workload& workload : workloads()) {
    for (const Contender& contender : contenders())
      if (const Series* series = results.find(workload.name, contender.name)) print_series(*series);
  }
  fmt::print("\n");
}

void print_parts(const Results& results) {
  fmt::print("parts of the pause, us, medians: {}\n", results.strategy);
  for (const Series& series : results.series) {
    if (series.contender != results.strategy) continue;
    fmt::print("{:<10}", series.workload);
    for (std::size_t part = 0; part != kPauseParts.size(); ++part)
      fmt::print(" {} {:.0f}", kPauseParts[part],
                 median(series.each([part](const Sample& sample) { return sample.report.parts_us[part]; })));
    fmt::print("\n");
  }
  fmt::print("\n");
}

void print_sizes(const Results& results) {
  if (results.by_size.empty()) return;
  fmt::print("{:<20} {:>10} {:>4} {:>9} {:>9}\n", "memory touched, MiB", "capture", "n", "pause ms", "p99");
  for (const PauseBySize& one : results.by_size)
    fmt::print("{:<20} {:>10} {:>4} {:>9.2f} {:>9.2f}\n", one.mib, one.strategy, one.pauses_us.size(),
               median(one.pauses_us) / 1000, p99(one.pauses_us) / 1000);
  fmt::print("\n");
}

void print_set(const CostBySet& set) {
  const double copy_ms = median(set.memcpy_ms);
  for (const Series& series : set.series)
    fmt::print("{:<20} {:>10} {:>4} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>10.1f}\n", set.hot_mib,
               series.contender, series.samples.size(), median(series.lost_ms()), p99(series.lost_ms()),
               median(series.gaps_us()) / 1000, p99(series.gaps_us()) / 1000, copy_ms,
               median(series.lost_ms()) / copy_ms);
}

void print_sets(const Results& results) {
  if (results.by_set.empty()) return;
  fmt::print("{:<20} {:>10} {:>4} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10}\n", "written to, MiB", "capture", "n", "lost ms",
             "p99", "gap ms", "p99", "memcpy ms", "lost/copy");
  for (const CostBySet& set : results.by_set) print_set(set);
  fmt::print("\n");
}

void print_incremental(const std::vector<Incremental>& incremental) {
  if (incremental.empty()) return;
  fmt::print("{:<24} {:>6} {:>9} {:>9} {:>9} {:>12} {:>10} {:>12}\n", "written in between", "n", "pause ms", "total ms",
             "p99", "KiB memory", "KiB all", "a second");
  for (const Incremental& one : incremental) {
    fmt::print("{:<24} {:>6} {:>9.2f} {:>9.0f} {:>9.0f} {:>12.0f} {:>10.0f} {:>12.1f}", one.workload,
               one.total_ms.size(), median(one.pauses_us) / 1000, median(one.total_ms), p99(one.total_ms),
               median(one.memory_bytes) / 1024, one.bytes_each / 1024, one.a_second);
    fmt::print("  the guest at {:.0f}% of its speed\n", one.guest_speed * 100);
  }
  fmt::print("\n");
}

void print_plain(const Results& results) {
  fmt::print("a plain write and fdatasync of as many bytes: {:.0f} ms; {} until durable: {:.0f} ms (medians)\n",
             median(results.plain.write_ms), results.strategy, median(results.plain.capture_ms));
  fmt::print("one memcpy of the swept memory: {:.0f} ms (median)\n\n", median(results.plain.memcpy_ms));
}

}  // namespace

void print_table(const Results& results) {
  if (!results.series.empty()) {
    print_contenders(results);
    print_parts(results);
    print_plain(results);
  }
  print_sizes(results);
  print_sets(results);
  print_incremental(results.incremental);
  print_incremental(results.paced);
}

}  // namespace tintype::test

// SPDX-License-Identifier: Apache-2.0
// The figures go to gnuplot as data blocks in front of a script of the same name (*.gp), which says how it looks.
#include "tests/bench/plots.h"

#include <cstdio>
#include <stdexcept>

#include <fmt/format.h>

#include "tests/bench/statistics.h"

namespace tintype::test {

namespace {

namespace fs = std::filesystem;

void run_gnuplot(const fs::path& svg, const std::string& script, const std::string& data) {
  FILE* const pipe = ::popen("gnuplot", "w");
  if (pipe == nullptr) throw std::runtime_error("gnuplot does not start");
  fmt::print(pipe, "load '{}/svg.gp'\nset output '{}'\n", TINTYPE_BENCH_SCRIPTS, svg.string());
  fmt::print(pipe, "{}load '{}/{}'\n", data, TINTYPE_BENCH_SCRIPTS, script);
  if (::pclose(pipe) != 0) throw std::runtime_error("gnuplot could not draw " + svg.string());
}

std::string block(const std::string& name, const std::string& rows) {
  return fmt::format("${} << END\n{}END\n", name, rows);
}

std::string label(const std::string& contender_name) {
  return contender(contender_name).ours ? "Tintype " + contender_name : contender_name;
}

/// Time in ms, and the rate as a share of the undisturbed one.
std::string rows_of(const GuestCost& cost) {
  std::string rows;
  for (const WorkInterval& interval : cost.intervals)
    rows += fmt::format("{:.0f} {:.4f}\n", interval.at_ms, interval.pages / interval.microseconds / cost.rate);
  return rows;
}

void draw_work(const fs::path& directory, const Results& results) {
  if (results.timelines.size() < 3) return;
  std::string data, names = "array names[3]\narray ends[3]\n";
  for (std::size_t i = 0; i != 3; ++i) {
    const Timeline& timeline = results.timelines[i];
    data += block(fmt::format("work{}", i + 1), rows_of(timeline.cost));
    names += fmt::format("names[{0}] = '{1}'\nends[{0}] = {2:.0f}\n", i + 1, label(timeline.contender),
                         timeline.cost.disturbed_ms);
  }
  run_gnuplot(directory / "work.svg", "work.gp", data + names);
}

/// A name, and median and p99 in milliseconds.
void draw_pauses(const fs::path& directory, const Results& results) {
  std::string rows;
  for (const Contender& contender : contenders()) {
    const Series* series = results.find(workloads().front().name, contender.name);
    if (series == nullptr) continue;
    // QEMU's live capture does not say how long it paused: what the guest felt.
    const bool told = !series->pauses_us().empty();
    const std::vector<double> values = told ? series->pauses_us() : series->gaps_us();
    rows += fmt::format("\"{}\" {:.4f} {:.4f}\n", contender.name, median(values) / 1000, p99(values) / 1000);
  }
  if (!rows.empty()) run_gnuplot(directory / "pause.svg", "pause.gp", block("pause", rows));
}

void draw_sizes(const fs::path& directory, const Results& results) {
  if (results.by_size.empty()) return;
  std::string chosen, fork;
  for (const PauseBySize& one : results.by_size) {
    std::string& rows = one.strategy == results.strategy ? chosen : fork;
    rows += fmt::format("{:.4f} {:.4f} {:.4f}\n", one.mib / 1024.0, median(one.pauses_us) / 1000,
                        p99(one.pauses_us) / 1000);
  }
  if (fork.empty()) fork = "NaN NaN NaN\n";
  run_gnuplot(directory / "size.svg", "size.gp",
              block("chosen", chosen) + block("fork", fork) + fmt::format("name = '{}'\n", results.strategy));
}

/// Of one contender: its name, then by size median and p99 of the lost work and of the longest gap, in milliseconds.
std::string rows_of(const std::vector<CostBySet>& by_set, std::size_t contender) {
  std::string rows = fmt::format("\"{}\"\n", by_set.front().series[contender].contender);
  for (const CostBySet& set : by_set) {
    const Series& series = set.series[contender];
    rows += fmt::format("{} {:.4f} {:.4f} {:.4f} {:.4f}\n", set.hot_mib, median(series.lost_ms()),
                        p99(series.lost_ms()), median(series.gaps_us()) / 1000, p99(series.gaps_us()) / 1000);
  }
  return rows;
}

void draw_sets(const fs::path& directory, const Results& results) {
  if (results.by_set.empty()) return;
  const std::size_t count = results.by_set.front().series.size();
  std::string rows, copies;
  for (std::size_t i = 0; i != count; ++i) rows += rows_of(results.by_set, i) + "\n\n";
  for (const CostBySet& set : results.by_set) copies += fmt::format("{} {:.4f}\n", set.hot_mib, median(set.memcpy_ms));
  run_gnuplot(directory / "sets.svg", "sets.gp",
              block("sets", rows) + block("copies", copies) + fmt::format("count = {}\n", count));
}

}  // namespace

void draw_plots(const fs::path& directory, const Results& results) {
  fs::create_directories(directory);
  draw_work(directory, results);
  draw_pauses(directory, results);
  draw_sizes(directory, results);
  draw_sets(directory, results);
}

}  // namespace tintype::test

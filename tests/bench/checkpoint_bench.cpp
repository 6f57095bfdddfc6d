// SPDX-License-Identifier: Apache-2.0
// What a live checkpoint costs: the pause, and the work that the guest did not do, with QEMU beside us on the same
// guest file. README.md says what each figure is.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "tests/bench/goals.h"
#include "tests/bench/json_report.h"
#include "tests/bench/measurements.h"
#include "tests/bench/plots.h"
#include "tests/bench/table.h"

namespace tintype::test {
namespace {

struct Options {
  bool quick = false;
  int rounds = 0;
  int largest_mib = 12288;
  std::string to = ".", strategy = "cow", json, svg;
  std::vector<std::string> only;  // parts; empty: all of them

  bool wants(const std::string& part) const {
    return only.empty() || std::find(only.begin(), only.end(), part) != only.end();
  }
};

void describe(CLI::App& app, Options& options) {
  app.add_flag("--quick", options.quick,
               "One round of the sweep alone, no large guests and no hot sets: one to two minutes");
  app.add_option("--rounds", options.rounds, "How often each contender has its turn (5; quick: 1)");
  app.add_option("--to", options.to, "Where captures go: a directory on the medium to measure")
      ->check(CLI::ExistingDirectory);
  app.add_option("--strategy", options.strategy, "The strategy that the goals are for");
  app.add_option("--only", options.only,
                 "Parts of it: contenders, sizes, sets, incremental, paced, resident, timelines")
      ->check(CLI::IsMember({"contenders", "sizes", "sets", "incremental", "paced", "resident", "timelines"}));
  app.add_option("--largest", options.largest_mib, "The largest guest for the pause by size, in MiB (12288)");
  app.add_option("--json", options.json, "Writes every value to this file");
  app.add_option("--svg", options.svg, "Draws plots into this directory, with gnuplot");
}

void measure(Results& results, const Options& options) {
  Place place(options.to);
  const int rounds = options.rounds > 0 ? options.rounds : options.quick ? 1 : 5;
  if (options.wants("contenders")) measure_contenders(results, place, rounds, options.quick ? 1 : workloads().size());
  if (options.wants("sizes") && !options.quick) measure_sizes(results, place, std::min(rounds, 2), options.largest_mib);
  if (options.wants("sets") && !options.quick) measure_sets(results, place, std::min(rounds, 2));
  if (options.wants("incremental")) measure_incremental(results, place, options.quick ? 2 : 10);
  if (options.wants("paced")) measure_paced(results, options.quick ? 2 : 10);
  if (options.wants("resident")) measure_resident(results, place);
  if (options.wants("timelines") && !options.svg.empty()) measure_timelines(results, place);
}

int run(const Options& options) {
  Results results;
  results.strategy = contender(options.strategy).name;
  measure(results, options);
  print_table(results);
  const std::vector<Goal> goals = judge(results);
  print_goals(goals);
  if (!options.json.empty()) write_json(options.json, results, goals);
  if (!options.svg.empty()) draw_plots(options.svg, results);
  return 0;
}

}  // namespace
}  // namespace tintype::test

int main(int argc, char** argv) {
  CLI::App app("What a live checkpoint costs, with QEMU beside it");
  tintype::test::Options options;
  tintype::test::describe(app, options);
  CLI11_PARSE(app, argc, argv);
  try {
    return tintype::test::run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "checkpoint_bench: %s\n", error.what());
    return 1;
  }
}

// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/goals.h"

#include <algorithm>

#include <fmt/format.h>

#include "tests/bench/statistics.h"

namespace tintype::test {

namespace {

/// Of each workload: the worst counts.
void judge_pauses(std::vector<Goal>& goals, const Results& results) {
  double worst_median = 0, worst_p99 = 0;
  for (const Series& series : results.series) {
    if (series.contender != results.strategy) continue;
    worst_median = std::max(worst_median, median(series.pauses_us()) / 1000);
    worst_p99 = std::max(worst_p99, p99(series.pauses_us()) / 1000);
  }
  if (worst_p99 == 0) return;
  goals.push_back({"pause, median, the worst workload", worst_median, 0.5, "ms"});
  goals.push_back({"pause, p99, the worst workload", worst_p99, 1.5, "ms"});
}

void judge_lost_work(std::vector<Goal>& goals, const Results& results) {
  const std::string& swept = workloads().front().name;
  const Series* ours = results.find(swept, results.strategy);
  const Series* qemu = results.find(swept, kQemuLive);
  if (ours == nullptr || qemu == nullptr) return;
  const double lost = median(ours->lost_ms());
  goals.push_back({"lost work, swept, as a share of QEMU live's", lost / median(qemu->lost_ms()), 0.05, ""});
  goals.push_back({"lost work, swept, in copies of that memory", lost / median(results.plain.memcpy_ms), 2.5, ""});
}

/// What a capture costs a guest that writes to little, as a share of the time that it takes.
void judge_hot_sets(std::vector<Goal>& goals, const Results& results) {
  for (const char* workload : {kHotSet, kHotSetOfTwo}) {
    const Series* ours = results.find(workload, results.strategy);
    if (ours == nullptr) continue;
    const auto lost = ours->each([](const Sample& sample) { return sample.cost.lost_ms / sample.cost.disturbed_ms; });
    goals.push_back({fmt::format("lost work, {}, of the capture's time", workload), median(lost) * 100, 3, "%"});
  }
}

/// Of each workload: the worst counts.
void judge_gaps(std::vector<Goal>& goals, const Results& results) {
  double worst_median = 0, worst_p99 = 0;
  for (const Series& series : results.series) {
    if (series.contender != results.strategy) continue;
    worst_median = std::max(worst_median, median(series.gaps_us()) / 1000);
    worst_p99 = std::max(worst_p99, p99(series.gaps_us()) / 1000);
  }
  if (worst_p99 == 0) return;
  goals.push_back({"longest gap, median, the worst workload", worst_median, 5, "ms"});
  goals.push_back({"longest gap, p99, the worst workload", worst_p99, 20, "ms"});
}

void judge_sizes(std::vector<Goal>& goals, const Results& results) {
  const PauseBySize *small = nullptr, *large = nullptr;
  for (const PauseBySize& one : results.by_size) {
    if (one.strategy != results.strategy) continue;
    if (small == nullptr || one.mib < small->mib) small = &one;
    if (large == nullptr || one.mib > large->mib) large = &one;
  }
  if (small == nullptr || small == large) return;
  goals.push_back({fmt::format("pause with {} MiB, in pauses with {} MiB", large->mib, small->mib),
                   median(large->pauses_us) / median(small->pauses_us), 1.3, ""});
}

/// Capture by capture: the medium is not the same from minute to minute.
void judge_speed(std::vector<Goal>& goals, const PlainFigures& plain) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i != plain.capture_ms.size(); ++i) ratios.push_back(plain.write_ms[i] / plain.capture_ms[i]);
  if (!ratios.empty()) goals.push_back({"speed until durable, in plain writes", median(ratios), 0.9, "", true});
}

void judge_incremental(std::vector<Goal>& goals, const Results& results) {
  if (results.incremental.empty()) return;
  const Incremental& nothing = results.incremental.back();
  goals.push_back({"incremental, nothing written, total", median(nothing.total_ms), 3, "ms"});
  goals.push_back({"incremental, nothing written, bytes", nothing.bytes_each / 1024, 64, "KiB"});
}

/// Half a beat missed now and then is no pace that is not held.
void judge_paced(std::vector<Goal>& goals, const Results& results) {
  for (const Incremental& one : results.paced) {
    goals.push_back({one.workload + ": held", one.a_second / one.asked_a_second * 100, 95, "%", true});
    goals.push_back({one.workload + ": the guest's speed", one.guest_speed * 100, 50, "%", true});
  }
}

}  // namespace

std::vector<Goal> judge(const Results& results) {
  std::vector<Goal> goals;
  judge_pauses(goals, results);
  judge_lost_work(goals, results);
  judge_hot_sets(goals, results);
  judge_gaps(goals, results);
  judge_sizes(goals, results);
  judge_speed(goals, results.plain);
  judge_incremental(goals, results);
  judge_paced(goals, results);
  if (!results.resident_mib.empty())
    goals.push_back({"memory beyond the guest's, between captures", median(results.resident_mib), 20, "MiB"});
  return goals;
}

void print_goals(const std::vector<Goal>& goals) {
  for (const Goal& goal : goals)
    fmt::print("{:<48} {:9.2f} {:<4} (goal: at {} {:g}) {}\n", goal.what, goal.value, goal.unit,
               goal.at_least ? "least" : "most", goal.limit, goal.met() ? "met" : "MISSED");
}

}  // namespace tintype::test

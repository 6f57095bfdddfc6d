// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/json_report.h"

#include <fstream>

#include <nlohmann/json.hpp>

namespace tintype::test {

namespace {

using nlohmann::json;

json as_json(const Series& series) {
  const auto each = [&](auto figure) { return series.each(figure); };
  return {{"workload", series.workload},
          {"capture", series.contender},
          {"pause_us", series.pauses_us()},
          {"lost_ms", series.lost_ms()},
          {"longest_gap_us", series.gaps_us()},
          {"gaps_over_1ms", each([](const Sample& sample) { return sample.cost.over_1ms; })},
          {"copy_ms", each([](const Sample& sample) { return sample.report.copy_ms; })},
          {"durable_ms", each([](const Sample& sample) { return sample.report.durable_ms; })},
          {"faults", each([](const Sample& sample) { return sample.report.faults; })},
          {"bytes", each([](const Sample& sample) { return sample.report.bytes; })}};
}

json as_json(const PauseBySize& one) {
  return {{"memory_mib", one.mib}, {"capture", one.strategy}, {"pause_us", one.pauses_us}};
}

json as_json(const Incremental& one) {
  return {{"workload", one.workload},
          {"total_ms", one.total_ms},
          {"memory_bytes", one.memory_bytes},
          {"pause_us", one.pauses_us},
          {"bytes_each", one.bytes_each},
          {"a_second", one.a_second},
          {"asked_a_second", one.asked_a_second},
          {"guest_speed", one.guest_speed}};
}

json as_json(const CostBySet& set) {
  json captures = json::array();
  for (const Series& series : set.series) captures.push_back(as_json(series));
  return {{"hot_mib", set.hot_mib}, {"memcpy_ms", set.memcpy_ms}, {"captures", captures}};
}

json as_json(const Goal& goal) {
  return {{"what", goal.what}, {"value", goal.value},       {"limit", goal.limit},
          {"unit", goal.unit}, {"at_least", goal.at_least}, {"met", goal.met()}};
}

template <typename List>
json list(const List& items) {
  json array = json::array();
  for (const auto& item : items) array.push_back(as_json(item));
  return array;
}

}  // namespace

void write_json(const std::filesystem::path& path, const Results& results, const std::vector<Goal>& goals) {
  const json plain = {{"capture_ms", results.plain.capture_ms},
                      {"write_ms", results.plain.write_ms},
                      {"memcpy_ms", results.plain.memcpy_ms}};
  const json all = {{"strategy", results.strategy},
                    {"captures", list(results.series)},
                    {"plain", plain},
                    {"pause_by_size", list(results.by_size)},
                    {"cost_by_hot_set", list(results.by_set)},
                    {"incremental", list(results.incremental)},
                    {"paced", list(results.paced)},
                    {"resident_mib", results.resident_mib},
                    {"goals", list(goals)}};
  std::ofstream file(path);
  file << all.dump(1) << '\n';
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace tintype::test

// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/workloads.h"

#include <fmt/format.h>

namespace tintype::test {

namespace {
constexpr int kSpareMiB = 64;  // the kernel itself, its page tables, and what lies below 2 MiB
}

Workload hot_set(const std::string& name, int mib, int hot, int cpus) {
  return {name, "hotset", fmt::format("mb={} hot={} cpus={}", mib, hot, cpus), fmt::format("{}M", mib + kSpareMiB),
          cpus};
}

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all = {
      {"sweep", "staircase", fmt::format("mb={}", kSweptMiB), "1G"},
      hot_set(kHotSet, 1024, 16),
      hot_set(kHotSetOfTwo, 1024, 16, 2),
      {"random", "hotset", "mb=1024 random=1", fmt::format("{}M", 1024 + kSpareMiB)},
      hot_set("idle", 1024, 0),
  };
  return all;
}

}  // namespace tintype::test

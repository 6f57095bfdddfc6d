// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/workloads.h"

#include <fmt/format.h>

namespace tintype::test {

namespace {
constexpr int kSpareMiB = 64;  // the kernel itself, its page tables, and what lies below 2 MiB
}

Workload hot_set(const std::string& name, int mib, int hot) {
  return {name, "hotset", fmt::format("mb={} hot={}", mib, hot), fmt::format("{}M", mib + kSpareMiB)};
}

const std::vector<Workload>& workloads() {
  static const std::vector<Workload> all = {
      {"sweep", "staircase", fmt::format("mb={}", kSweptMiB), "1G"},
      hot_set("hot set", 1024, 16),
      {"random", "hotset", "mb=1024 random=1", fmt::format("{}M", 1024 + kSpareMiB)},
      hot_set("idle", 1024, 0),
  };
  return all;
}

}  // namespace tintype::test

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tintype {

enum class Health : std::uint8_t {
  kGood,
  kLimited,  ///< works, but slower or with less
  kMissing,  ///< something cannot be done at all
};

/// What was looked at, what was found, and what to do about it where it is not good.
struct Finding {
  std::string subject, found, remedy;
  Health health = Health::kGood;
};

/// A way to capture memory, and whether this computer can.
struct StrategyFinding {
  std::string name;
  bool possible = false;
  std::string reason;  ///< why not
};

struct Diagnosis {
  std::vector<Finding> findings;
  std::vector<StrategyFinding> strategies;
  bool machine_can_run = false;
  std::string main_problem;  ///< one sentence; empty where a machine can run
};

/// Looks at everything; changes nothing, and throws nothing that a probe can meet.
Diagnosis examine_host();

// One probe each. They look at the host through the paths that they are given, so that tests can show them another.
Finding examine_virtualization(const std::string& cpu_info_path);
Finding examine_time_stamp_counter(const std::string& cpu_info_path);
Finding examine_huge_pages(const std::string& enabled_path);
Finding examine_overcommit(const std::string& overcommit_path);
Finding examine_io_uring(const std::string& disabled_path);
Finding examine_page_scan();
Finding examine_runtime_directory(const std::string& directory);

}  // namespace tintype

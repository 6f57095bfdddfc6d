// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "vmm/base/progress.h"

namespace tintype {

struct DrillOptions {
  std::filesystem::path repository;
  std::uint64_t id = 0;
  std::string expect;              ///< text on the console; empty: whatever it prints
  std::optional<int> expect_exit;  ///< the exit code that it leaves with
  std::chrono::milliseconds within = std::chrono::seconds(30);
  std::function<void()>
      meanwhile;  ///< called again and again; what it throws ends the drill, and nothing is left of it
};

struct DrillResult {
  bool lives = false;
  std::string said;  ///< how that was seen, or what it lacks
  std::uint64_t ran_ms = 0;
  std::optional<std::uint64_t> interrupts;  ///< nothing where KVM does not count them
  std::string console;                      ///< the end of what it printed
};

/// Restores a checkpoint apart from everything, runs it, and says whether it lives: by text on its console, by the code
/// it leaves with, or, where nothing is asked for, by the ticks of its clock and that it does not crash. All of its
/// memory and disks is read and checked first; what it writes goes with it, and nobody hears of it. Throws
/// tintype::Error where it cannot be restored.
DrillResult drill_checkpoint(const DrillOptions& options, const ProgressSink& progress);

}  // namespace tintype

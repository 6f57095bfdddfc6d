// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/workloads.h"
#include "tests/support/tintype_process.h"

namespace tintype::test {

inline constexpr double kUnknown = -1;
inline constexpr std::array kPauseParts = {"kick", "devices", "disks", "state", "protect", "copy", "resume"};

/// What a capture says of itself.
struct CaptureReport {
  double pause_us = kUnknown;
  double copy_ms = kUnknown;     ///< of memory, in the pause or beside it
  double durable_ms = kUnknown;  ///< from the request until it is safe on the medium
  double faults = kUnknown;
  double bytes = 0;                   ///< written
  std::vector<double> parts_us = {};  ///< of the pause, as kPauseParts; empty where nobody says
};

/// A guest that runs and can be captured, whoever runs it.
class RunningGuest {
 public:
  virtual ~RunningGuest() = default;
  virtual MachineProcess& process() noexcept = 0;
  /// All of it, to a path that does not exist yet.
  virtual CaptureReport capture(const std::filesystem::path& destination) = 0;
};

/// A way to capture a guest.
struct Contender {
  std::string name;
  bool ours = false;
  int captures_a_turn = 1;
  std::function<std::unique_ptr<RunningGuest>(const Workload&)> start;
};

/// Tintype's strategies by name, then QEMU's two ways.
const std::vector<Contender>& contenders();
const Contender& contender(const std::string& name);
inline constexpr const char* kQemuLive = "QEMU live";  ///< background-snapshot
inline constexpr const char* kQemuStop = "QEMU stop";  ///< stop, migrate to a file, cont

/// Waits until the guest does its work.
void wait_for_work(RunningGuest& guest);

}  // namespace tintype::test

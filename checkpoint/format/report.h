// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vmm/base/words.h"

namespace tintype {

/// How memory of one instant is got out of a running machine. kAuto takes the best that the host can do.
enum class Strategy : std::uint8_t { kAuto, kStop, kPrecopy, kCow, kFork, kHybrid };

template <>
inline constexpr auto kWords<Strategy> = std::to_array<Word<Strategy>>({{Strategy::kAuto, "auto"},
                                                                        {Strategy::kStop, "stop"},
                                                                        {Strategy::kPrecopy, "precopy"},
                                                                        {Strategy::kCow, "cow"},
                                                                        {Strategy::kFork, "fork"},
                                                                        {Strategy::kHybrid, "hybrid"}});

/// What of a machine a checkpoint holds. Memory: with CPUs and devices. Only one that holds all of it can be restored.
enum class Portion : std::uint8_t { kAll, kMemory, kDisks };

template <>
inline constexpr auto kWords<Portion> =
    std::to_array<Word<Portion>>({{Portion::kAll, "all"}, {Portion::kMemory, "memory"}, {Portion::kDisks, "disks"}});

/// The pause, split up. Microseconds. `total` runs from the first kick to the last vCPU running. `copy` is memory
/// written out in the pause, by strategies that do.
struct PauseTimes {
  std::uint64_t total = 0, kick = 0, devices = 0, disks = 0, state = 0, protect = 0, resume = 0, copy = 0;
};

/// Microseconds between a write fault and its release, as the handler sees it.
struct FaultTimes {
  std::uint64_t p50 = 0, p99 = 0, max = 0;
};

struct MemoryReport {
  std::uint64_t pages_total = 0, pages_written = 0, pages_zero = 0, bytes_written = 0;
  std::uint64_t faults = 0;
  FaultTimes fault_us;
  std::uint64_t capture_area_peak_bytes = 0;
  std::uint64_t capture_area_waits = 0;  ///< faults that had to wait because the area was full
  std::uint64_t rounds = 0;              ///< of precopy; 0 where the strategy has none
};

struct DiskReport {
  std::string id;
  std::uint64_t bytes_written = 0;
};

/// What a finished checkpoint says of itself (`checkpoint --json`, and the manifest).
struct CheckpointReport {
  std::uint64_t id = 0;
  std::string identity;  ///< as its manifest has it: what a child must name to build on it
  std::string repository;
  std::string vm;
  Strategy strategy = Strategy::kStop;
  std::string chosen_because;  ///< why kAuto came to this strategy; empty where the user chose
  Portion holds = Portion::kAll;
  std::uint64_t parent = 0;  ///< 0: none
  bool compared = false;     ///< nobody knew what was written since the parent: all was read, and compared with it
  PauseTimes pause_us;
  MemoryReport memory;
  std::vector<DiskReport> disks;
  /// What comes before the pause, between it and sealing, and sealing. With the pause they make up the total.
  std::uint64_t prepare_ms = 0, copy_ms = 0, seal_ms = 0, total_ms = 0;
};

}  // namespace tintype

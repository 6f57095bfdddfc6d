// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "vmm/control/client.h"
#include "vmm/control/status_json.h"

namespace tintype {

/// What a machine does in a second.
struct WatchRates {
  double exits = 0;
  std::optional<double> interrupts, page_faults;                    ///< nothing where KVM does not count them
  double reads = 0, writes = 0, bytes_read = 0, bytes_written = 0;  ///< of all disks
  /// Of memory, that differ; as the last checkpoint found them that builds on the one before. Nothing without one:
  /// who does not take checkpoints does not pay for knowing.
  std::optional<double> dirty_pages;
};

/// How a machine does at an instant, and since the one before.
struct WatchSample {
  StatusReport status;
  WatchRates rates;
};
nlohmann::json sample_to_json(const WatchSample& sample);

/// Rates out of counts.
class RateMeter {
 public:
  using Clock = std::chrono::steady_clock;
  /// All rates are 0 the first time. A count that has gone back counts as one that stands.
  WatchSample take(const StatusReport& status, Clock::time_point now);
  /// An event of the machine's, in their order.
  void note(const nlohmann::json& event);

 private:
  std::optional<StatusReport> before_;
  Clock::time_point then_;
  /// The last checkpoint, and its instant by the machine's clock.
  struct Seen {
    std::string repository;
    std::uint64_t id = 0, at_ms = 0;
  };
  std::optional<Seen> seen_;
  std::optional<double> dirty_pages_;
};

/// A machine that is watched until it ends. On one thread.
class MachineWatch {
 public:
  /// Two connections to it: one follows what happens, which begins with what has happened (256 events are kept).
  MachineWatch(ControlClient calls, ControlClient events);

  /// Nothing where it has ended. Throws tintype::Error where it does not answer.
  std::optional<WatchSample> look();
  /// What happened, as `tintype events` has it; nothing where nothing does in time, or it has ended.
  std::optional<nlohmann::json> next_event(std::chrono::milliseconds patience);
  bool ended() const noexcept { return events_.hung_up(); }
  int events_fd() const noexcept { return events_.fd(); }

 private:
  ControlClient calls_, events_;
  RateMeter meter_;
};

}  // namespace tintype

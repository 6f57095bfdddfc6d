// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include "checkpoint/format/report.h"
#include "vmm/base/news_bell.h"
#include "vmm/base/progress.h"
#include "vmm/base/words.h"

namespace tintype {

enum class EventKind : std::uint8_t {
  kStarted,
  kPaused,
  kContinued,
  kCheckpoint,
  kCheckpointFailed,
  kBackupFailed,
  kMarked,
  kReset,
  kPanic,
  kEnded
};

template <>
inline constexpr auto kWords<EventKind> = std::to_array<Word<EventKind>>({{EventKind::kStarted, "started"},
                                                                          {EventKind::kPaused, "paused"},
                                                                          {EventKind::kContinued, "continued"},
                                                                          {EventKind::kCheckpoint, "checkpoint"},
                                                                          {EventKind::kCheckpointFailed,
                                                                           "checkpoint-failed"},
                                                                          {EventKind::kBackupFailed, "backup-failed"},
                                                                          {EventKind::kMarked, "marked"},
                                                                          {EventKind::kReset, "reset"},
                                                                          {EventKind::kPanic, "panic"},
                                                                          {EventKind::kEnded, "ended"}});

/// Something that happened to a machine.
struct MachineEvent {
  EventKind kind = EventKind::kStarted;
  std::uint64_t number = 0;  ///< 1, 2, ... of this machine's
  std::string time;          ///< UTC, ISO 8601
  std::uint64_t uptime_ms = 0;
  std::string reason;  ///< why it paused by itself, failed or ended; empty: somebody wanted it
  std::optional<std::uint32_t> exit_code;
  std::optional<CheckpointReport> checkpoint;
};

/// What happened to a machine, the last of it kept, for whoever follows. Any thread.
class EventLog {
 public:
  static constexpr std::size_t kKept = 256;

  /// Numbers it, and notes the time.
  void post(MachineEvent event) noexcept;
  /// How far the checkpoint that is under way has come.
  void post_progress(const Progress& progress) noexcept;

  /// The first that is later than number `after`, of those that are kept.
  std::optional<MachineEvent> next(std::uint64_t after) const;
  std::uint64_t latest() const noexcept;

  struct LatestProgress {
    std::uint64_t number = 0;  ///< 1, 2, ...
    Progress progress;
  };
  LatestProgress latest_progress() const;

  NewsBell& bell() noexcept { return bell_; }

 private:
  const std::chrono::steady_clock::time_point created_ = std::chrono::steady_clock::now();
  mutable std::mutex mutex_;  ///< guards the next three
  std::deque<MachineEvent> events_;
  std::uint64_t latest_ = 0;
  LatestProgress progress_;
  NewsBell bell_;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>

#include "checkpoint/format/report.h"

namespace tintype {

/// Takes the checkpoints for all backups of one machine. What was written is known since the last one only, wherever
/// that went; so an instant is captured once, for the place that wants the most, and carried from there to the others.
/// Any thread; one at a time is served.
class CaptureDesk {
 public:
  using Take = std::function<CheckpointReport(const std::filesystem::path& repository)>;
  /// Throws where a repository that was there is not there any more: taking something to it would make another one.
  using Require = std::function<void(const std::filesystem::path& repository)>;
  CaptureDesk(Take take, Require require) : take_(std::move(take)), require_(std::move(require)) {}

  /// A checkpoint that a place can have: where it lies, and which it is.
  struct Captured {
    std::filesystem::path repository;
    CheckpointReport report;
  };
  /// One for a place that wants one as often as that: taken now, or moments ago for another place.
  Captured capture_for(const std::filesystem::path& repository, std::chrono::milliseconds every);
  /// Nobody wants them there any more.
  void leave(const std::filesystem::path& repository);

 private:
  using Clock = std::chrono::steady_clock;
  struct Latest {
    Captured captured;
    std::chrono::milliseconds every{};  ///< of the place that it was taken for
    Clock::time_point at{};
  };
  const Captured& take(const std::filesystem::path& repository, std::chrono::milliseconds every);

  const Take take_;
  const Require require_;
  std::mutex mutex_;  // guards the rest
  std::optional<Latest> latest_;
};

}  // namespace tintype

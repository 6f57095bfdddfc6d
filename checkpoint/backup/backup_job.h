// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "checkpoint/backup/capture_desk.h"
#include "checkpoint/backup/chores.h"
#include "checkpoint/backup/place.h"
#include "checkpoint/backup/plan.h"

namespace tintype {

/// How long a backup that failed so many times in a row waits before it is tried again: longer each time.
std::chrono::milliseconds retry_pause(std::uint64_t failures) noexcept;

/// The backups to one place, on a thread of its own, from its making to its end. What fails is said in the status and
/// tried again with growing pauses, for ever.
class BackupJob {
 public:
  /// The desk, `run` and `warn` must outlive it.
  BackupJob(const BackupPlan& plan, std::unique_ptr<BackupPlace> place, CaptureDesk& desk, const RunTintype& run,
            const Warn& warn);
  /// One that is being taken is finished first.
  ~BackupJob();
  BackupJob(const BackupJob&) = delete;
  BackupJob& operator=(const BackupJob&) = delete;

  const BackupPlan& plan() const noexcept { return plan_; }
  BackupStatus status() const;
  /// No more; does not wait.
  void ask_to_end() noexcept;
  /// Nobody takes its place: what it kept for the next backup goes with it.
  void ask_to_end_for_good() noexcept;

 private:
  using Clock = std::chrono::steady_clock;

  void run() noexcept;
  bool wait_until_due();
  void once();
  void throw_if_ending() const;
  void succeeded(const CheckpointReport& report, std::uint64_t id);
  void failed(const std::string& why);
  /// From now on; beats that were missed are counted.
  void next_beat();

  const BackupPlan plan_;
  const std::unique_ptr<BackupPlace> place_;
  CaptureDesk& desk_;
  const Warn& warn_;
  Chore verify_, drill_;

  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  BackupStatus status_;
  Clock::time_point beat_ = Clock::now(), due_ = beat_;
  bool ending_ = false, for_good_ = false;
  std::thread thread_;  ///< last: it uses all of the above
};

}  // namespace tintype

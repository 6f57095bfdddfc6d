// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/backup_job.h"

#include <algorithm>
#include <utility>

#include "checkpoint/format/manifest.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {

using std::chrono::milliseconds;

milliseconds retry_pause(std::uint64_t failures) noexcept {
  constexpr milliseconds kFirst = std::chrono::seconds(1), kLongest = std::chrono::minutes(5);
  const std::uint64_t doublings = std::min<std::uint64_t>(failures > 0 ? failures - 1 : 0, 16);
  return std::min<milliseconds>(kFirst * (1LL << doublings), kLongest);
}

BackupJob::BackupJob(const BackupPlan& plan, std::unique_ptr<BackupPlace> place, CaptureDesk& desk,
                     const RunTintype& run, const Warn& warn)
    : plan_(plan),
      place_(std::move(place)),
      desk_(desk),
      warn_(warn),
      verify_({"verify", plan.to}, milliseconds(plan.verify_ms), run, warn),
      drill_({"drill", plan.to}, milliseconds(plan.drill_ms), run, warn) {
  status_.to = plan.to;
  status_.every_ms = plan.every_ms;
  status_.verify_ms = plan.verify_ms;
  status_.drill_ms = plan.drill_ms;
  status_.keep = plan.keep ? text_of(*plan.keep) : "";
  thread_ = std::thread([this] { this->run(); });
}

BackupJob::~BackupJob() {
  ask_to_end();
  thread_.join();
  desk_.leave(place_->repository());
  if (for_good_) place_->give_up();
}

void BackupJob::ask_to_end_for_good() noexcept {
  {
    const std::lock_guard lock(mutex_);
    for_good_ = true;
  }
  ask_to_end();
}

void BackupJob::ask_to_end() noexcept {
  const std::lock_guard lock(mutex_);
  ending_ = true;
  changed_.notify_all();
}

BackupStatus BackupJob::status() const {
  const std::lock_guard lock(mutex_);
  BackupStatus status = status_;
  const auto left = std::chrono::duration_cast<milliseconds>(due_ - Clock::now()).count();
  status.next_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(left, 0));
  status.verified = verify_.outcome();
  status.drilled = drill_.outcome();
  return status;
}

void BackupJob::run() noexcept {
  name_this_thread("backup");
  block_signals_in_this_thread();
  while (wait_until_due()) {
    try {
      once();
    } catch (const std::exception& error) {
      failed(error.what());
    }
  }
}

/// False where it is to end.
bool BackupJob::wait_until_due() {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, due_, [this] { return ending_; });
  if (ending_) return false;
  status_.state = BackupState::kWorking;
  return true;
}

void BackupJob::once() {
  place_->look();
  const CaptureDesk::Captured captured = desk_.capture_for(place_->repository(), milliseconds(plan_.every_ms));
  const ProgressSink until_ended = [this](const Progress&) { throw_if_ending(); };
  const std::uint64_t id = place_->bring(captured.repository, captured.report.id, until_ended);
  succeeded(captured.report, id);
  place_->prune(plan_.keep, until_ended);
  verify_.begin_if_due();
  drill_.begin_if_due();
  if (drill_.has_found_something()) verify_.begin();  // which marks what is damaged, and all that builds on it
}

void BackupJob::throw_if_ending() const {
  const std::lock_guard lock(mutex_);
  if (ending_) throw Error("the backups to {} were ended", plan_.to);
}

void BackupJob::succeeded(const CheckpointReport& report, std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  if (status_.failures > 0) log_note("backups to {} work again, after {} that failed", plan_.to, status_.failures);
  status_.state = BackupState::kWaiting;
  status_.problem.clear();
  status_.failures = 0;
  status_.taken += 1;
  status_.latest = id;
  status_.latest_time = utc_time_text();
  status_.note = report.compared ? "nobody knew what had been written since the one before: all was read, and what "
                                   "differs was written"
                                 : "";
  next_beat();
}

/// A beat that was missed by a little is made up for at once, so that one that took a little long costs no whole beat;
/// what always takes long still leaves the guest some rest.
void BackupJob::next_beat() {
  const milliseconds period(plan_.every_ms);
  const auto late = Clock::now() - beat_;
  const auto passed = static_cast<std::uint64_t>(late / period);
  if (status_.taken > 1) status_.skipped += passed > 0 ? passed - 1 : 0;
  beat_ += (late > period && late < period * 3 / 2 ? 1 : passed + 1) * period;
  due_ = beat_;
}

void BackupJob::failed(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    status_.state = BackupState::kFailing;
    ++status_.failures;
    due_ = Clock::now() + std::min(retry_pause(status_.failures), place_->longest_retry());
    if (std::exchange(status_.problem, why) == why) return;
  }
  log_note("a backup to {} failed, and is tried again: {}", plan_.to, why);
  warn_(fmt::format("backup {}: {}", plan_.to, why));
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/series.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "checkpoint/store/operations.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How long a series sleeps without looking whether it was cancelled.
constexpr milliseconds kNap{10};
/// Whoever waits for it hears something at least so often.
constexpr std::chrono::seconds kSignOfLife{30};

/// Deletes old checkpoints on a thread of its own: taking what others need into those can take longer than a beat.
class Pruner {
 public:
  explicit Pruner(std::string repository) : repository_(std::move(repository)), thread_([this] { serve(); }) {}
  /// Ends when all is deleted that was asked for.
  ~Pruner() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  Pruner(const Pruner&) = delete;
  Pruner& operator=(const Pruner&) = delete;

  void remove(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    ids_.push_back(id);
    changed_.notify_one();
  }

 private:
  void serve() noexcept {
    name_this_thread("series-pruner");
    block_signals_in_this_thread();
    const ScopedPatience patience;
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || !ids_.empty(); });
      if (ids_.empty()) return;
      const std::uint64_t id = ids_.front();
      ids_.pop_front();
      lock.unlock();
      remove_now(id);
      lock.lock();
    }
  }

  void remove_now(std::uint64_t id) const noexcept {
    try {
      delete_checkpoint(repository_, id);
    } catch (const std::exception& error) {
      log_note("checkpoint {} is not deleted: {}", id, error.what());
    }
  }

  const std::string repository_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::deque<std::uint64_t> ids_;
  bool ending_ = false;
  std::thread thread_;
};

/// The series as it goes.
class Series {
 public:
  Series(Checkpointer& checkpointer, const CheckpointOptions& options, const SeriesOptions& series,
         const std::function<void(const CheckpointReport&)>& taken)
      : checkpointer_(checkpointer), options_(options), series_(series), taken_(taken), pruner_(options.repository) {}

  SeriesReport run(const ProgressSink& progress) {
    while (!enough() && wait_for_beat(progress)) {
      if (!take()) break;
      tell(progress);
    }
    report_.elapsed_ms =
        static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(Clock::now() - start_).count());
    report_.pause_us = {pause_at(0.5), pause_at(0.99), pause_at(1)};
    return report_;
  }

 private:
  bool enough() const { return series_.count != 0 && report_.taken == series_.count; }

  /// False where the series is cancelled before its next beat.
  bool wait_for_beat(const ProgressSink& progress) {
    const milliseconds period(series_.every_ms);
    const auto now = Clock::now();
    if (now > beat_ + period) {
      const auto missed = static_cast<std::uint64_t>((now - beat_) / period);
      report_.skipped += missed;
      beat_ += missed * period;
    }
    while (Clock::now() < beat_) {
      if (checkpointer_.cancelled()) return false;
      std::this_thread::sleep_for(std::min<Clock::duration>(beat_ - Clock::now(), kNap));
      if (Clock::now() > told_ + kSignOfLife) tell(progress);
    }
    beat_ += period;
    return true;
  }

  void tell(const ProgressSink& progress) {
    told_ = Clock::now();
    if (progress) progress({"series", report_.taken, std::max(series_.count, report_.taken)});
  }

  /// False where it was cancelled, and there is something to show for it all the same.
  bool take() {
    try {
      report_.latest = checkpointer_.take(options_, {});
    } catch (const Cancelled&) {
      if (report_.taken == 0) throw;
      return false;
    }
    if (taken_) taken_(report_.latest);
    ++report_.taken;
    report_.bytes_written += report_.latest.memory.bytes_written;
    for (const DiskReport& disk : report_.latest.disks) report_.bytes_written += disk.bytes_written;
    pauses_.push_back(report_.latest.pause_us.total);
    prune();
    return true;
  }

  void prune() {
    kept_.push_back(report_.latest.id);
    if (series_.keep == 0 || kept_.size() <= series_.keep) return;
    pruner_.remove(kept_.front());
    kept_.pop_front();
    ++report_.deleted;
  }

  std::uint64_t pause_at(double share) {
    if (pauses_.empty()) return 0;
    std::sort(pauses_.begin(), pauses_.end());
    return pauses_[static_cast<std::size_t>(share * static_cast<double>(pauses_.size() - 1))];
  }

  Checkpointer& checkpointer_;
  const CheckpointOptions& options_;
  const SeriesOptions& series_;
  const std::function<void(const CheckpointReport&)>& taken_;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point beat_ = start_, told_ = start_;
  std::deque<std::uint64_t> kept_;
  std::vector<std::uint64_t> pauses_;
  SeriesReport report_;
  Pruner pruner_;  // last: gone before the rest
};

}  // namespace

SeriesReport take_series(Checkpointer& checkpointer, const CheckpointOptions& options, const SeriesOptions& series,
                         const ProgressSink& progress, const std::function<void(const CheckpointReport&)>& taken) {
  return Series(checkpointer, options, series, taken).run(progress);
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/series.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/tracking/fault_times.h"
#include "vmm/base/log.h"

namespace tintype {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How long a series sleeps without looking whether it was cancelled.
constexpr milliseconds kNap{10};
/// Whoever waits for it hears something at least so often.
constexpr std::chrono::seconds kSignOfLife{30};

/// The series as it goes.
class Series {
 public:
  Series(Checkpointer& checkpointer, const CheckpointOptions& options, const SeriesOptions& series,
         const std::function<void(const CheckpointReport&)>& taken, SeriesPruner::Remove remove)
      : checkpointer_(checkpointer), options_(options), series_(series), taken_(taken), pruner_(std::move(remove)) {}

  SeriesReport run(const ProgressSink& progress) {
    try {
      while (!enough() && wait_for_beat(progress) && take()) tell(progress);
    } catch (...) {
      finish_pruning([] { return true; });  // nobody knows what its host does by now
      throw;
    }
    finish_pruning([&] {
      if (Clock::now() > told_ + kSignOfLife) tell(progress);
      return checkpointer_.cancelled();
    });
    report_.elapsed_ms =
        static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(Clock::now() - start_).count());
    report_.pause_us = {pause_at(0.5), pause_at(0.99), pause_at(1)};
    return report_;
  }

 private:
  bool enough() const { return series_.count != 0 && report_.taken == series_.count; }

  /// False where the series is cancelled before its next beat.
  bool wait_for_beat(const ProgressSink& progress) {
    while (wait_for_next_beat(progress)) {
      if (pruner_.backlog() < kMostBehind) return true;
      if (checkpointer_.cancelled()) return false;
      ++report_.skipped;
    }
    return false;
  }

  bool wait_for_next_beat(const ProgressSink& progress) {
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
    if (report_.taken > 0) require_still_there(options_.repository);
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

  void finish_pruning(const std::function<bool()>& cancelled) {
    const SeriesPruner::Ids left = pruner_.finish(cancelled);
    if (left.empty()) return;
    report_.not_deleted = left.size();
    report_.deleted -= left.size();
    log_note("{} old checkpoints of this series, {} to {}, may be there still: tintype prune deletes them", left.size(),
             left.front(), left.back());
  }

  std::uint64_t pause_at(double share) {
    if (pauses_.empty()) return 0;
    std::sort(pauses_.begin(), pauses_.end());
    return pauses_[rank_of(share, pauses_.size())];
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
  SeriesPruner pruner_;  // last: gone before the rest
};

}  // namespace

SeriesReport take_series(Checkpointer& checkpointer, const CheckpointOptions& options, const SeriesOptions& series,
                         const ProgressSink& progress, const std::function<void(const CheckpointReport&)>& taken,
                         SeriesPruner::Remove remove) {
  if (!remove) remove = remove_from(options.repository);
  return Series(checkpointer, options, series, taken, std::move(remove)).run(progress);
}

}  // namespace tintype

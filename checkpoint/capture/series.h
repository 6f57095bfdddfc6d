// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "checkpoint/capture/live_checkpoint.h"
#include "checkpoint/capture/options.h"
#include "checkpoint/capture/series_pruner.h"
#include "checkpoint/format/report.h"
#include "vmm/base/progress.h"

namespace tintype {

/// A film: one checkpoint after the other, at regular beats.
struct SeriesOptions {
  std::uint64_t every_ms = 0;  ///< from one beat to the next, more than 0
  std::uint64_t count = 0;     ///< of checkpoints; 0: until it is cancelled
  std::uint64_t keep = 0;      ///< the newest of the series; those before are deleted. 0: all
};

struct SeriesReport {
  std::uint64_t taken = 0;
  std::uint64_t skipped = 0;  ///< beats at which the one before was still being taken, or too many were to be deleted
  std::uint64_t deleted = 0;
  std::uint64_t not_deleted = 0;  ///< that should have been: it was cancelled, or the host did not let us
  std::uint64_t elapsed_ms = 0;
  std::uint64_t bytes_written = 0;  ///< memory and disks
  FaultTimes pause_us;              ///< p50, p99 and longest pause
  CheckpointReport latest;
};

/// Where so many wait to be deleted, none is added: a series never has more checkpoints than it keeps, and these.
inline constexpr std::size_t kMostBehind = 32;

/// Takes them; there are never two at once, and a beat that comes too early is skipped. Returns when there are enough,
/// or when it is cancelled and at least one was taken. Throws what a checkpoint throws; those before it stay.
/// `taken` is told of each. Old ones are deleted by `remove`, or from the repository.
SeriesReport take_series(Checkpointer& checkpointer, const CheckpointOptions& options, const SeriesOptions& series,
                         const ProgressSink& progress, const std::function<void(const CheckpointReport&)>& taken = {},
                         SeriesPruner::Remove remove = {});

}  // namespace tintype

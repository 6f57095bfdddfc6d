// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "checkpoint/backup/backup_job.h"
#include "checkpoint/backup/place.h"
#include "checkpoint/store/checkpoint_store.h"

namespace tintype {

/// What a machine has to do for its backups.
struct BackupMeans {
  CaptureDesk::Take take;
  std::function<std::unique_ptr<BackupPlace>(const BackupPlan&)> make_place;
  RunTintype run_tintype;
  CaptureDesk::Require require = require_still_there;
  /// A backup begins to fail, or for another reason; what is verified or drilled is bad.
  Warn warn = [](const std::string&) {};
};

/// All backups of one machine. Any thread.
class BackupService {
 public:
  explicit BackupService(BackupMeans means) : means_(std::move(means)), desk_(means_.take, means_.require) {}
  ~BackupService() { stop({}); }

  /// From now on. Takes the place of those to the same place; where this one cannot be, they go on. Throws
  /// tintype::Error, also for a place within another one: what is copied from there to here would lie in itself; and
  /// for one that can never be a repository. A directory that is not there may come. Returns what those had that this
  /// one has not: no_longer().
  std::string start(BackupPlan plan);
  /// No more to there, or with an empty place to anywhere; one that is being taken is finished first. Returns how many
  /// were ended.
  std::size_t stop(const std::string& place);
  std::vector<BackupStatus> status() const;

 private:
  using Ask = void (BackupJob::*)();
  void check_place(const std::string& place) const;
  std::size_t end(const std::string& place, Ask ask);
  std::string lost_by(const BackupPlan& plan) const;

  const BackupMeans means_;
  CaptureDesk desk_;
  mutable std::mutex mutex_;  // guards the rest
  std::vector<std::unique_ptr<BackupJob>> jobs_;
};

}  // namespace tintype

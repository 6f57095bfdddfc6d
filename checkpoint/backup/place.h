// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "checkpoint/backup/retention.h"
#include "vmm/base/progress.h"

namespace tintype {

/// Where backups of a machine go. Everything on the thread of one backup; all may throw, and be tried again.
class BackupPlace {
 public:
  virtual ~BackupPlace() = default;

  /// Where the machine writes a checkpoint that is for this place.
  virtual const std::filesystem::path& repository() const noexcept = 0;
  /// What fails is tried again at least so often.
  virtual std::chrono::milliseconds longest_retry() const noexcept { return std::chrono::minutes(5); }
  /// Whether something can be written there now; throws tintype::Error otherwise.
  virtual void look() = 0;
  /// Makes a checkpoint that lies in some repository (often this one's) be here, for good. Returns its id here.
  virtual std::uint64_t bring(const std::filesystem::path& from, std::uint64_t id, const ProgressSink& progress) = 0;
  /// Deletes what the rule does not keep.
  virtual void prune(const std::optional<Retention>& keep, const ProgressSink& progress) = 0;
  /// No more will be brought: what was kept here for the next one goes, at the latest with this.
  virtual void give_up() noexcept {}
};

/// A repository, in a directory or a bucket. `vm`: whose backups they are.
std::unique_ptr<BackupPlace> make_repository_place(const std::filesystem::path& path, const std::string& vm);

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

#include "checkpoint/store/chain.h"
#include "checkpoint/store/repository.h"
#include "checkpoint/store/tidy.h"
#include "vmm/base/progress.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

/// Merges in a directory: what is made lies beside what it replaces, and then the two change places.
class DirectoryMerge {
 public:
  DirectoryMerge(Repository& repository, MergeRun run, bool can_exchange, const ProgressSink& progress);
  ~DirectoryMerge();
  DirectoryMerge(const DirectoryMerge&) = delete;
  DirectoryMerge& operator=(const DirectoryMerge&) = delete;

  /// CheckpointStore::merge().
  bool run();

 private:
  bool begin();
  bool build();
  bool put_in_place();
  bool still_the_same() const;
  void exchange();
  void step() const;

  Repository& repository_;
  const MergeRun run_;
  const bool can_exchange_;
  const ProgressSink& progress_;
  const std::filesystem::path listed_, merged_;
  std::uint64_t inode_ = 0;  ///< of the directory that is going to be replaced
  UniqueFd lock_;
  Chain chain_;  ///< the checkpoint and the bases, newest first
};

}  // namespace tintype

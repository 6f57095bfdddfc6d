// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/store/chain.h"
#include "checkpoint/store/lineage.h"
#include "checkpoint/store/repository.h"
#include "vmm/base/progress.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

/// A checkpoint, and the bases right below it that nobody else needs, its parent first.
struct MergeRun {
  std::uint64_t id = 0;
  std::vector<std::uint64_t> bases;
};

/// All that there are, of checkpoints that are listed.
std::vector<MergeRun> find_merge_runs(const Lineage& lineage);

/// Makes of a checkpoint and of bases below it one that builds on what the last base builds on, with the same id and
/// identity, and puts it into its place at once.
class ChainMerge {
 public:
  ChainMerge(Repository& repository, MergeRun run, bool can_exchange, const ProgressSink& progress);
  ~ChainMerge();
  ChainMerge(const ChainMerge&) = delete;
  ChainMerge& operator=(const ChainMerge&) = delete;

  /// False where somebody else is at it, or has changed what it is made of meanwhile: then nothing has happened. Throws
  /// ImageError, DestinationFull, Error.
  bool run();

 private:
  bool begin();
  bool build();
  bool put_in_place();
  bool still_the_same() const;
  PartSummary merge_part(const std::string& name);
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
  Manifest manifest_;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

// What keeps chains short and repositories small: bases that nobody needs are removed, those that somebody needs are
// merged into what builds on them, where that pays.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/progress.h"

namespace tintype {

/// Whether bases that lie one after the other ought to be merged into the checkpoint that builds on them, though that
/// costs writing all of them anew. `bytes`: of that checkpoint and of each base. So that a repository in which every
/// new checkpoint makes the oldest go does not write all of memory each time, it pays where what is not the largest
/// makes up half of that, or where there are many. What is newer than the largest is merged first, by itself: it often
/// is the same few blocks again and again, and then it is small.
bool merging_pays(std::span<const std::uint64_t> bytes);

class CheckpointStore;

/// A checkpoint, and the bases right below it that nobody else needs, its parent first.
struct MergeRun {
  std::uint64_t id = 0;
  std::vector<std::uint64_t> bases;
};

struct TidyOptions {
  std::function<bool(std::span<const std::uint64_t> bytes)> pays = merging_pays;
  /// False: as on a file system where two directories cannot change places, whatever this one can do.
  bool can_exchange = true;
};

struct Tidied {
  std::vector<std::uint64_t> gone;    ///< bases that are there no more
  std::vector<std::uint64_t> merged;  ///< checkpoints that have taken bases in
  std::vector<std::string> problems;  ///< why some could not: damage, no room. Nothing is lost by it
};

/// Changes nothing that can be seen in any checkpoint but its size and its parent. Whoever reads one meanwhile can go
/// on; whatever ends this leaves every checkpoint whole. The sink is called for each extent and between any two steps;
/// one that throws ends it. Throws tintype::Error where the store cannot be written.
Tidied tidy_chains(const std::filesystem::path& repository, const ProgressSink& progress = {},
                   const TidyOptions& options = {});
Tidied tidy_chains(CheckpointStore& store, const ProgressSink& progress = {}, const TidyOptions& options = {});

}  // namespace tintype

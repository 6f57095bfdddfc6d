// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/backup/retention.h"
#include "checkpoint/store/known_manifests.h"
#include "vmm/base/progress.h"

namespace tintype {

struct PruneOptions {
  Retention retention;
  std::string vm;                                   ///< of this machine only; empty: of each, by itself
  bool dry_run = false;                             ///< says what would go, and changes nothing
  std::shared_ptr<KnownManifests> known = nullptr;  ///< by way of which manifests are read; null: anew
  bool tidies_always = false;                       ///< also where nothing goes: what one that was killed has left
};

/// A checkpoint that was looked at.
struct Pruned {
  std::uint64_t id = 0;
  std::string vm, time;
  std::vector<std::string_view> because;  ///< why it stays; empty: it goes, or would
  bool damaged = false;                   ///< verifying it has shown that, and it stays though it counts for nothing
};

struct Pruning {
  std::vector<Pruned> checkpoints;        ///< ascending
  std::vector<std::uint64_t> unreadable;  ///< nobody knows whose and how old they are: they stay
  std::vector<std::uint64_t> merged;      ///< checkpoints that have taken in what they need of deleted ones
  std::vector<std::string> problems;      ///< why something is there still that need not be
};

/// Deletes what the rule does not keep, of each machine by itself. One that verifying has found to be damaged takes
/// nobody's place: where the rule would keep such a one, a whole one stays beside it. What others build on stays as
/// long as they do, though it is listed no more. Interrupted at any instant, what is listed is whole. Throws
/// tintype::Error.
Pruning prune(const std::filesystem::path& repository, const PruneOptions& options, const ProgressSink& progress = {});

}  // namespace tintype

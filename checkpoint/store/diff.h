// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/format/block_source.h"
#include "checkpoint/format/manifest.h"
#include "vmm/base/progress.h"

namespace tintype {

/// Blocks of 4 KiB that follow each other and differ.
struct ChangedRun {
  std::uint64_t first_block = 0, blocks = 0;
  bool operator==(const ChangedRun&) const = default;
};

/// What differs in memory, or in a disk.
struct PartDiff {
  std::string name;  ///< "memory", "disk0"
  std::uint64_t blocks = 0, changed = 0;
  std::vector<ChangedRun> runs;  ///< ascending, none of which touch
};

struct CheckpointDiff {
  Manifest a, b;
  PartDiff memory;
  std::vector<PartDiff> disks;      ///< those that both have, of the same size
  std::vector<std::string> unlike;  ///< disks that only one has, or of another size
};

/// Reads both whole, which takes as long as verifying them. Either may build on the other, or on anything. Throws
/// tintype::Error where one cannot be read, holds a portion only, or has memory of another size.
CheckpointDiff diff_checkpoints(const std::filesystem::path& repository, std::uint64_t a, std::uint64_t b,
                                const ProgressSink& progress = {});

/// The blocks in which two sources of the same length differ. `name` is the first one's.
PartDiff diff_sources(const BlockSource& a, const BlockSource& b, const ProgressSink& progress = {});

}  // namespace tintype

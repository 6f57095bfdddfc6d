// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "devices/block/io_engine.h"
#include "vmm/base/absent_blocks.h"
#include "vmm/base/words.h"

namespace tintype {

/// What becomes of updates: they reach the image; they stay in a redo log until the user commits or discards them; they
/// are thrown away when the machine ends.
enum class DiskMode : std::uint8_t { kPersistent, kUndoable, kNonpersistent };

template <>
inline constexpr auto kWords<DiskMode> = std::to_array<Word<DiskMode>>({{DiskMode::kPersistent, "persistent"},
                                                                        {DiskMode::kUndoable, "undoable"},
                                                                        {DiskMode::kNonpersistent, "nonpersistent"}});

/// What tests turn.
struct DiskTuning {
  IoEngineKind engine = IoEngineKind::kAuto;
  std::function<std::unique_ptr<IoEngine>()> make_engine{};  ///< instead of `engine`
};

struct DiskOptions {
  std::string id;  ///< "disk0", "disk1", ... in the order of --disk
  std::filesystem::path image;
  DiskMode mode = DiskMode::kPersistent;
  bool read_only = false;
  std::string serial;                   ///< by default the id
  std::filesystem::path log_directory;  ///< where redo logs lie; empty: beside the image
  std::string suspended_as;             ///< of a machine that resumes: the id that its images bear; empty: of any other
  /// Of a disk that is being restored: what the image has not yet. Then it may say that it is not whole. Not for an
  /// undoable one.
  std::shared_ptr<AbsentBlocks> absent{};
};

}  // namespace tintype

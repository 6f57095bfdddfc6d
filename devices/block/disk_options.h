// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "devices/block/io_engine.h"
#include "vmm/base/absent_blocks.h"
#include "vmm/base/unique_fd.h"
#include "vmm/base/words.h"

namespace tintype {

/// What becomes of updates: they reach the image; they stay in a redo log until the user commits or discards them; they
/// are thrown away when the machine ends.
enum class DiskMode : std::uint8_t { kPersistent, kUndoable, kNonpersistent };

template <>
inline constexpr auto kWords<DiskMode> = std::to_array<Word<DiskMode>>({{DiskMode::kPersistent, "persistent"},
                                                                        {DiskMode::kUndoable, "undoable"},
                                                                        {DiskMode::kNonpersistent, "nonpersistent"}});

/// Where the host keeps what the guest has written: in its page cache, until the guest flushes; nowhere (O_DIRECT); in
/// its page cache, whatever the guest flushes.
enum class DiskCache : std::uint8_t { kWriteback, kNone, kUnsafe };

template <>
inline constexpr auto kWords<DiskCache> = std::to_array<Word<DiskCache>>({{DiskCache::kWriteback, "writeback"},
                                                                          {DiskCache::kNone, "none"},
                                                                          {DiskCache::kUnsafe, "unsafe"}});

/// What becomes of a request that the host cannot do: the guest is told, or the machine pauses, so that what is wrong
/// can be mended.
enum class OnDiskError : std::uint8_t { kReport, kPause };

template <>
inline constexpr auto kWords<OnDiskError> = std::to_array<Word<OnDiskError>>({{OnDiskError::kReport, "report"},
                                                                              {OnDiskError::kPause, "pause"}});

/// How a disk treats its requests.
struct DiskBehaviour {
  DiskCache cache = DiskCache::kWriteback;
  OnDiskError on_error = OnDiskError::kReport;
  std::uint32_t block_size = 512;                ///< bytes of a logical block: 512 or 4096
  std::uint64_t iops = 0, bytes_per_second = 0;  ///< at most so many requests and bytes a second; 0: no limit
  bool operator==(const DiskBehaviour&) const = default;
};

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
  DiskBehaviour behaviour{};
  /// Of a disk that is being restored: what the image has not yet. Then it may say that it is not whole. Not for an
  /// undoable one.
  std::shared_ptr<AbsentBlocks> absent{};
  /// The image, where it has no name; `image` is what messages call it then. Not for a persistent one, or an undoable.
  std::shared_ptr<const UniqueFd> unnamed{};
};

}  // namespace tintype

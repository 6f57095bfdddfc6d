// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>

#include "checkpoint/format/manifest.h"

namespace tintype {

/// Manifests that were read before, so that a film need not read all of its chain again for each picture. A sealed
/// manifest never changes in place: as long as its file is the same one, so is what it says. Any thread.
class KnownManifests {
 public:
  /// Throws ImageError, as read_manifest() does.
  std::shared_ptr<const Manifest> read(const std::filesystem::path& directory, std::uint64_t id);

  /// Of one that was read: it was seen to be whole, with all that it builds on. What a checkpoint needs stays as long
  /// as it does, so nobody need look below it again.
  void note_whole(const std::filesystem::path& directory);
  bool is_whole(const std::filesystem::path& directory) const;

 private:
  /// What tells a file from one that took its place, or was written to.
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t modified_ns = 0, changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct Known {
    Stamp stamp;
    std::shared_ptr<const Manifest> manifest;
    bool whole = false;
  };
  static Stamp stamp_of(const std::filesystem::path& file);

  mutable std::mutex mutex_;
  std::map<std::filesystem::path, Known> known_;  ///< by directory
};

}  // namespace tintype

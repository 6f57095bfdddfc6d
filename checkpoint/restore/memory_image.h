// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "checkpoint/format/block_source.h"
#include "checkpoint/tracking/chunks.h"
#include "checkpoint/tracking/page_set.h"
#include "vmm/base/progress.h"
#include "vmm/base/unique_fd.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// The memory of a checkpoint, read and checked once, in a sealed file without a name. Machines that are restored side
/// by side map it privately: a page that one of them writes to becomes its own, all others are there once.
class MemoryImage {
 public:
  /// Reads all of it. Throws ImageError where it is damaged, std::system_error where the host has no room.
  MemoryImage(const BlockSource& source, const ProgressSink& progress);

  const BlockSource& source() const noexcept { return source_; }
  int fd() const noexcept { return file_.get(); }

 private:
  const BlockSource& source_;
  UniqueFd file_;
};

/// Guest memory of one machine, of which what it has not written to is the image's.
class SharedMemory {
 public:
  /// Puts the image in the place of guest memory, which is new and nobody uses yet: chunk by chunk (2 MiB), where it
  /// holds anything; the rest stays as it is. Throws std::system_error.
  SharedMemory(std::shared_ptr<const MemoryImage> image, GuestMemory& memory);

  /// Makes every page of it be there, for whoever looks only at those. The guest may run.
  void make_present() const;
  /// Whether these pages of a chunk are as the image has them.
  bool as_saved(std::size_t chunk, const PageSet& there) const;

 private:
  const std::shared_ptr<const MemoryImage> image_;
  const ChunkTable chunks_;
  std::vector<std::span<std::byte>> mapped_;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "checkpoint/tracking/chunks.h"
#include "checkpoint/tracking/page_map.h"
#include "checkpoint/tracking/page_set.h"
#include "checkpoint/tracking/userfault.h"

namespace tintype {

/// The kernel notes which pages are written to, whoever writes: the guest through KVM, this process, the kernel on
/// behalf of either. Memory is write-protected by a userfaultfd, but nobody is told of a fault: the kernel lets the
/// page go itself (UFFD_FEATURE_WP_ASYNC), and PAGEMAP_SCAN says which ones it was. Linux 6.7. No privilege is needed,
/// as no fault of the kernel's ever waits for this process.
///
/// A write to a huge page that is protected splits it; a first write to a page costs this process about 1 microsecond,
/// and a guest 3 to 10.
class WrittenPages {
 public:
  /// Why this host cannot; empty where it can.
  static std::string problem();

  /// Watches all of guest memory. What is there counts as written. Throws tintype::Error.
  explicit WrittenPages(const ChunkTable& chunks);
  ~WrittenPages();
  WrittenPages(const WrittenPages&) = delete;
  WrittenPages& operator=(const WrittenPages&) = delete;

  /// Adds what was written to these chunks since it was last asked for. Absent pages are not, even where they were
  /// read. Throws tintype::Error; then it is not known what was written to them.
  void take(std::size_t first_chunk, std::size_t chunks, PageSet& into);

  /// What is there in the chunk counts as written from now on, and costs its writers nothing any more.
  void release(std::size_t chunk) const noexcept { userfault_.release(chunks_[chunk].bytes()); }

 private:
  const ChunkTable& chunks_;
  AsyncUserfault userfault_;
  PageMap map_;
};

}  // namespace tintype

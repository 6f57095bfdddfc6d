// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// /proc/self/pagemap: what the kernel knows of each page of this process. Asked by the PAGEMAP_SCAN ioctl (Linux 6.7,
/// include/uapi/linux/fs.h), which walks page tables a huge page at a step; before that by reading, 8 bytes a page.
/// One thread at a time. Calls allocate nothing.
class PageMap {
 public:
  /// A run of pages inside of the range that was asked for, in bytes from its start.
  using Found = std::function<void(std::uint64_t offset, std::uint64_t bytes)>;

  PageMap();

  /// Pages that the host holds anything for, in memory or in swap.
  void find_present(std::span<const std::byte> range, const Found& found);
  /// Pages that are present and were written to since they were last protected; they are protected by the same step, so
  /// that no write falls between. The range is watched by an asynchronous userfaultfd. Throws tintype::Error; some
  /// pages may have been protected by then that were not told of.
  void take_written(std::span<const std::byte> range, const Found& found);

 private:
  struct Query;
  bool scan(std::span<const std::byte> range, const Query& query, const Found& found);
  void read(std::span<const std::byte> range, const Found& found);

  UniqueFd fd_;
  const std::unique_ptr<std::uint64_t[]> buffer_;  ///< its pages come as they are used
  bool has_ioctl_ = true;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "checkpoint/capture/chunks.h"
#include "checkpoint/capture/page_sink.h"
#include "vmm/base/unique_fd.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// Which pages of guest memory the host holds anything for, at one moment. The others were never touched: they read as
/// zero, write protection passes over them without a word (userfaultfd leaves absent pages alone), and a first write to
/// one is not seen. So they must be known.
///
/// Asked of the kernel by the PAGEMAP_SCAN ioctl (Linux 6.7), which walks page tables a huge page at a step; before
/// that by reading /proc/self/pagemap, 8 bytes a page.
class Residency {
 public:
  explicit Residency(const GuestMemory& memory);

  /// Takes the picture. In the pause: allocates nothing.
  void scan();

  bool resident(std::uint64_t page) const noexcept { return (bits_[page / 64] >> (page % 64) & 1) != 0; }

  /// Calls `visit(first_page, count)` for each run of resident pages inside [first_page, first_page + count).
  void for_each_run(std::uint64_t first_page, std::uint64_t count,
                    const std::function<void(std::uint64_t, std::uint64_t)>& visit) const;
  /// The resident pages of a chunk, whose contents lie in `contents`.
  std::vector<PageSink::Run> runs(const Chunk& chunk, std::span<const std::byte> contents) const;
  /// Copies the resident pages of a chunk out of guest memory, each to its place.
  void copy(const Chunk& chunk, std::span<std::byte> into) const noexcept;
  /// How many pages are resident.
  std::uint64_t count() const noexcept;
  /// True where at least one page of the range is resident.
  bool any(std::uint64_t first_page, std::uint64_t count) const noexcept;

 private:
  bool scan_by_ioctl(const MemoryRegion& region);
  void scan_by_reading(const MemoryRegion& region);
  void set(std::uint64_t first_page, std::uint64_t count) noexcept;

  const GuestMemory& memory_;
  UniqueFd pagemap_;
  std::vector<std::uint64_t> bits_;
  std::vector<std::uint64_t> buffer_;
  bool has_ioctl_ = true;
};

}  // namespace tintype

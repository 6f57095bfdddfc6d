// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "checkpoint/format/block_source.h"
#include "vmm/base/disk_contents.h"
#include "vmm/base/mapping.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// What makes the memory of a machine that stands still into a checkpoint's. All that may fail comes first.
class MemoryDifference {
 public:
  /// Reads and checks all of the source; keeps what differs, for which the host needs as much memory. Changes nothing.
  /// Throws ImageError where the source is damaged.
  MemoryDifference(const BlockSource& source, GuestMemory& memory);

  std::uint64_t pages() const noexcept { return changed_.size() + zeroed_.size(); }
  void apply() noexcept;

 private:
  void compare_extent(const BlockSource& source, std::size_t number, std::vector<std::byte>& buffer);
  void compare_with_zeros(std::uint64_t first_page, std::uint64_t end_page);

  GuestMemory& memory_;
  std::vector<std::uint64_t> changed_;  ///< pages, in the order in which contents_ has them
  Mapping contents_;                    ///< room for all; only what is used is there
  std::vector<std::uint64_t> zeroed_;
};

/// A disk of a checkpoint.
class SavedDisk final : public DiskContents {
 public:
  /// `source` must outlive it.
  explicit SavedDisk(const BlockSource& source) : source_(source) {}
  std::uint64_t size() const noexcept override { return source_.content_bytes(); }
  /// From a whole block on.
  void read(std::uint64_t offset, std::span<std::byte> into) override;
  std::optional<Range> next_data(std::uint64_t offset) override;

 private:
  const BlockSource& source_;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tintype {

/// What a disk holds at one instant, wherever it lies.
class DiskContents {
 public:
  struct Range {
    std::uint64_t offset = 0, length = 0;  ///< bytes
  };

  virtual ~DiskContents() = default;
  virtual std::uint64_t size() const noexcept = 0;  ///< bytes
  /// Contents at `offset`, in whole sectors. Blocks. Throws where they cannot be read.
  virtual void read(std::uint64_t offset, std::span<std::byte> into) = 0;
  /// The next range at or after `offset` that may hold something other than zeros, or nothing.
  virtual std::optional<Range> next_data(std::uint64_t offset) = 0;
};

}  // namespace tintype

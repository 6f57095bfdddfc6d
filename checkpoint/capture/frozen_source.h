// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tintype {

/// A disk of one instant, as the checkpoint sees it: something that can be read in ranges.
/// (The machine adapts devices/block's FrozenDisk to this, so that checkpoint knows no device.)
class FrozenSource {
 public:
  struct Range {
    std::uint64_t offset = 0, length = 0;
  };
  virtual ~FrozenSource() = default;
  virtual std::uint64_t size() const noexcept = 0;
  virtual void wait_until_readable() = 0;
  virtual void read(std::uint64_t offset, std::span<std::byte> into) = 0;
  virtual std::optional<Range> next_data(std::uint64_t offset) = 0;
};

}  // namespace tintype

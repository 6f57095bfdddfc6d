// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "checkpoint/format/block_source.h"

namespace tintype {

/// A disk of a checkpoint for whoever reads it bit by bit: extents are read and checked as a whole, so those that were
/// read last are kept. Any thread.
class CachedSource {
 public:
  explicit CachedSource(const BlockSource& source) : source_(source) {}

  std::uint64_t bytes() const noexcept { return source_.content_bytes(); }
  /// Any bytes that lie on the disk. Throws ImageError where the checkpoint is damaged there.
  void read(std::uint64_t offset, std::span<std::byte> into);

  struct Stretch {
    std::uint64_t end = 0;  ///< the byte behind it
    bool zero = false;
  };
  /// How long it is data, or zeros, from there on.
  Stretch stretch_at(std::uint64_t offset) const noexcept;

 private:
  using Contents = std::shared_ptr<const std::vector<std::byte>>;
  struct Kept {
    std::size_t extent;
    Contents contents;
  };
  Contents contents_of(std::size_t extent);

  const BlockSource& source_;
  std::mutex mutex_;      // guards the next
  std::list<Kept> kept_;  ///< the one that was asked for last comes first
};

}  // namespace tintype

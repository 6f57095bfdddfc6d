// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "checkpoint/format/block_source.h"
#include "vmm/base/mapping.h"

namespace tintype {

/// Which pieces of an image are there, of all that its source has. Processes that fork share it: what one of them has
/// brought is there for all. Any thread.
class ImageChunks {
 public:
  static constexpr std::uint64_t kBlocks = 256;  ///< of a piece: 1 MiB
  static constexpr std::uint64_t kBytes = kBlocks * kBlockSize;

  /// Nothing of it is there but the zeros: a hole says so.
  explicit ImageChunks(const BlockSource& source);

  std::size_t count() const noexcept { return absent_.size(); }
  bool is_there(std::size_t chunk) const noexcept { return absent_[chunk].load(std::memory_order_acquire) == 0; }
  std::uint64_t bytes_left() const noexcept { return bytes_left_.load(); }
  /// All of its bytes are in the image. May be said by several.
  void came(std::size_t chunk) noexcept { bytes_left_ -= absent_[chunk].exchange(0); }
  /// Whatever came may have been lost.
  void expect_all(const BlockSource& source) noexcept;

 private:
  using Bytes = std::atomic<std::uint64_t>;
  static_assert(Bytes::is_always_lock_free, "processes share them");

  Mapping memory_;
  Bytes& bytes_left_;
  std::span<Bytes> absent_;  ///< bytes of each piece
};

}  // namespace tintype

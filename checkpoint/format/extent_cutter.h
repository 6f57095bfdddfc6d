// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "checkpoint/format/compressor.h"
#include "checkpoint/format/part_format.h"

namespace tintype {

/// Blocks made ready to be stored: cut into extents with their checksums, compressed where that is wanted. One for each
/// thread that appends; it keeps its buffers.
class ExtentCutter {
 public:
  /// `says_zeros`: zero blocks become extents too; otherwise they are left out.
  ExtentCutter(Compression codec, bool says_zeros);

  void clear() noexcept;
  /// Whole blocks, which hold still until they are written: of what is not compressed only the place is noted.
  void cut(std::uint64_t first_block, std::span<const std::byte> data);
  void add_zeros(std::uint64_t first_block, std::uint64_t blocks);
  void add_stored(Extent extent, std::span<const std::byte> stored);

  /// Their offsets count from the beginning of the bytes.
  std::span<Extent> extents() noexcept { return extents_; }
  /// The bytes, in their order.
  std::span<iovec> pieces() noexcept { return pieces_; }
  std::uint64_t stored_bytes() const noexcept { return stored_bytes_; }
  std::uint64_t stored_blocks() const noexcept { return stored_blocks_; }

 private:
  void cut_data(std::uint64_t first_block, std::span<const std::byte> run);
  std::span<const std::byte> compress(std::span<const std::byte> piece);

  const Compression codec_;
  const bool says_zeros_;
  std::unique_ptr<Compressor> compressor_;  ///< null where nothing is compressed
  std::vector<std::byte> compressed_;       ///< what of the pieces is not the caller's memory
  std::size_t compressed_bytes_ = 0;
  std::vector<Extent> extents_;
  std::vector<iovec> pieces_;
  std::uint64_t stored_bytes_ = 0, stored_blocks_ = 0;
};

}  // namespace tintype

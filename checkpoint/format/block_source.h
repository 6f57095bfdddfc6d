// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/format/part_format.h"

namespace tintype {

/// The memory or a disk of a checkpoint, for whoever reads it: he does not know whether it lies in one part, or in a
/// chain of parts of which each holds what changed since the one before. All reading is const and may go on from
/// several threads at once.
///
/// Data is stored in extents, which are read and checked as a whole. Of an extent all blocks may count, or some runs of
/// them, or none, because newer parts have others in their place.
class BlockSource {
 public:
  /// Blocks that hold data and lie in one extent.
  struct Run {
    std::uint64_t first_block = 0, blocks = 0;
    std::size_t extent = 0;  ///< its number

    std::uint64_t end_block() const noexcept { return first_block + blocks; }
  };

  virtual ~BlockSource() = default;

  /// "memory", "disk0"
  virtual const std::string& name() const noexcept = 0;
  virtual std::uint64_t content_bytes() const noexcept = 0;
  std::uint64_t blocks() const noexcept { return (content_bytes() + kBlockSize - 1) / kBlockSize; }
  /// In all runs together.
  virtual std::uint64_t data_blocks() const noexcept = 0;

  /// The run that holds this block, else the first one behind it. Blocks in no run are zero.
  virtual std::optional<Run> next_run(std::uint64_t block) const noexcept = 0;

  /// Extents are numbered in the order in which they are best read.
  virtual std::size_t extent_count() const noexcept = 0;
  virtual const Extent& extent(std::size_t number) const noexcept = 0;
  /// `into` holds exactly extent(number).data_bytes(). When this returns, the checksum was right; when it throws
  /// ImageError, what `into` holds must not be used.
  virtual void read_extent(std::size_t number, std::span<std::byte> into) const = 0;

  /// The runs that lie in this extent, ascending.
  void runs_in(std::size_t number, std::vector<Run>& into) const;
  /// Any blocks, zero ones too; `into` is whole blocks. Each extent is read once.
  void read_blocks(std::uint64_t first_block, std::span<std::byte> into) const;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "devices/block/backend.h"
#include "devices/block/sectors.h"

namespace tintype {

/// A set of blocks of a disk, a bit for each, in pieces that are made when something is first inserted into them: a
/// disk of a tebibyte that is written in one place costs 64 KiB for the list of pieces and 4 KiB for the piece. Guards
/// nothing: the disk's mutex does while the set is inserted into, and after the switch it never changes again.
class ChangedBlocks {
 public:
  static constexpr std::uint64_t kBlockSectors = 8;  ///< 4096 bytes

  /// Of a disk of so many sectors; holds nothing.
  explicit ChangedBlocks(std::uint64_t sectors);

  /// The blocks that `range`, which lies inside the disk, touches. Allocates where a piece is new.
  void insert(const SectorRange& range);
  /// All blocks of the disk, at no cost.
  void insert_all() noexcept { all_ = true; }

  // To insert another set of the same disk in short steps: all of it, or piece by piece.
  std::size_t piece_count() const noexcept { return pieces_.size(); }
  /// What `other` holds in one piece of the disk.
  void insert_piece(const ChangedBlocks& other, std::size_t index);

  bool holds_all() const noexcept { return all_; }
  /// Of all its blocks, each counted as whole.
  std::uint64_t byte_count() const noexcept { return (all_ ? blocks_ : count_) * kBlockSectors * kSectorSize; }
  /// The first run of blocks that ends after `sector`, cut off at the end of the disk. It begins before `sector` where
  /// that lies inside a block.
  std::optional<SectorRange> at_or_after(std::uint64_t sector) const noexcept;

 private:
  static constexpr std::uint64_t kWordBlocks = 64;
  static constexpr std::uint64_t kPieceBlocks = 32768;  ///< 128 MiB of the disk, and one page of memory
  using Piece = std::array<std::uint64_t, kPieceBlocks / kWordBlocks>;

  void insert_into(std::uint64_t& word, std::uint64_t bits) noexcept;
  Piece& piece(std::size_t index);
  std::uint64_t find(std::uint64_t block, bool held) const noexcept;

  std::uint64_t sectors_, blocks_;
  std::uint64_t count_ = 0;  ///< blocks in the pieces
  bool all_ = false;         ///< whatever the pieces say
  std::vector<std::unique_ptr<Piece>> pieces_;
};

}  // namespace tintype

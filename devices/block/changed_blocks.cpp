// SPDX-License-Identifier: Apache-2.0
#include "devices/block/changed_blocks.h"

#include <algorithm>
#include <bit>

namespace tintype {
namespace {

constexpr std::uint64_t divide_up(std::uint64_t value, std::uint64_t by) noexcept {
  return value / by + (value % by != 0 ? 1 : 0);
}

/// From bit `first` to bit `last`, both included.
constexpr std::uint64_t bits_between(std::uint64_t first, std::uint64_t last) noexcept {
  return ~std::uint64_t{0} << first & ~std::uint64_t{0} >> (63 - last);
}

}  // namespace

ChangedBlocks::ChangedBlocks(std::uint64_t sectors)
    : sectors_(sectors), blocks_(divide_up(sectors, kBlockSectors)), pieces_(divide_up(blocks_, kPieceBlocks)) {}

ChangedBlocks::Piece& ChangedBlocks::piece(std::size_t index) {
  if (pieces_[index] == nullptr) pieces_[index] = std::make_unique<Piece>();
  return *pieces_[index];
}

void ChangedBlocks::insert_into(std::uint64_t& word, std::uint64_t bits) noexcept {
  const std::uint64_t fresh = bits & ~word;
  if (fresh == 0) return;
  word |= fresh;
  count_ += static_cast<std::uint64_t>(std::popcount(fresh));
}

void ChangedBlocks::insert(const SectorRange& range) {
  if (all_ || range.empty()) return;
  const std::uint64_t last = (range.end - 1) / kBlockSectors;
  for (std::uint64_t block = range.start / kBlockSectors; block <= last;) {
    const std::uint64_t last_in_word = std::min(last, block | (kWordBlocks - 1));
    insert_into(piece(block / kPieceBlocks)[block % kPieceBlocks / kWordBlocks],
                bits_between(block % kWordBlocks, last_in_word % kWordBlocks));
    block = last_in_word + 1;
  }
}

void ChangedBlocks::insert_piece(const ChangedBlocks& other, std::size_t index) {
  if (all_ || other.pieces_[index] == nullptr) return;
  Piece& words = piece(index);
  for (std::size_t i = 0; i < words.size(); ++i) insert_into(words[i], (*other.pieces_[index])[i]);
}

/// The first block at or after `block` that is held (or is not), or the end of the disk.
std::uint64_t ChangedBlocks::find(std::uint64_t block, bool held) const noexcept {
  while (block < blocks_) {
    const Piece* const words = pieces_[block / kPieceBlocks].get();
    if (words == nullptr) {
      if (!held) return block;
      block = (block / kPieceBlocks + 1) * kPieceBlocks;
      continue;
    }
    const std::uint64_t word = (*words)[block % kPieceBlocks / kWordBlocks];
    const std::uint64_t wanted = (held ? word : ~word) >> block % kWordBlocks;
    if (wanted != 0) return std::min(blocks_, block + static_cast<std::uint64_t>(std::countr_zero(wanted)));
    block = (block / kWordBlocks + 1) * kWordBlocks;
  }
  return blocks_;
}

std::optional<SectorRange> ChangedBlocks::at_or_after(std::uint64_t sector) const noexcept {
  const std::uint64_t from = sector / kBlockSectors;
  const std::uint64_t start = all_ ? from : find(from, true);
  if (sector >= sectors_ || start >= blocks_) return std::nullopt;
  const std::uint64_t end = all_ ? blocks_ : find(start, false);
  return SectorRange{start * kBlockSectors, std::min(end * kBlockSectors, sectors_)};
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/extent_cutter.h"

#include <algorithm>

#include "vmm/base/checksum.h"
#include "vmm/base/zero_scan.h"

namespace tintype {
namespace {

// A single block is checked and decompressed with all of its extent, so extents are not made larger than pays.
constexpr std::uint64_t kRawExtentBytes = 512 * kBlockSize, kCompressedExtentBytes = 64 * kBlockSize;

/// Bytes from the front of `data` up to the first block that is zero, or is not, as asked.
std::uint64_t run_length(std::span<const std::byte> data, bool zero) {
  std::uint64_t length = 0;
  while (length < data.size() && is_zero(data.subspan(length, kBlockSize)) == zero) length += kBlockSize;
  return length;
}

}  // namespace

ExtentCutter::ExtentCutter(Compression codec, bool says_zeros) : codec_(codec), says_zeros_(says_zeros) {
  if (codec_ != Compression::kNone) compressor_ = std::make_unique<Compressor>(codec_);
}

void ExtentCutter::clear() noexcept {
  extents_.clear();
  pieces_.clear();
  compressed_bytes_ = 0;
  stored_bytes_ = stored_blocks_ = 0;
}

// Compressed bytes stay where they are until they are written, so all the room for them is made beforehand.
void ExtentCutter::cut(std::uint64_t first_block, std::span<const std::byte> data) {
  check(!compressor_ || compressed_bytes_ == 0, "compressed bytes do not move");
  if (compressor_ && compressed_.size() < data.size()) compressed_.resize(data.size());
  while (!data.empty()) {
    const std::uint64_t zeros = run_length(data, true);
    const std::uint64_t run = run_length(data.subspan(zeros), false);
    add_zeros(first_block, zeros / kBlockSize);
    cut_data(first_block + zeros / kBlockSize, data.subspan(zeros, run));
    data = data.subspan(zeros + run);
    first_block += (zeros + run) / kBlockSize;
  }
}

void ExtentCutter::cut_data(std::uint64_t first_block, std::span<const std::byte> run) {
  const std::uint64_t limit = compressor_ ? kCompressedExtentBytes : kRawExtentBytes;
  while (!run.empty()) {
    const auto piece = run.first(std::min<std::uint64_t>(run.size(), limit));
    const auto compressed = compress(piece);
    const auto stored = compressed.empty() ? piece : compressed;
    Extent extent;
    extent.first_block = first_block;
    extent.blocks = static_cast<std::uint32_t>(piece.size() / kBlockSize);
    extent.codec = compressed.empty() ? Compression::kNone : codec_;
    extent.stored_bytes = stored.size();
    extent.checksum = checksum_of(stored);
    add_stored(extent, stored);
    run = run.subspan(piece.size());
    first_block += extent.blocks;
  }
}

/// Empty where nothing is compressed, or it does not become smaller.
std::span<const std::byte> ExtentCutter::compress(std::span<const std::byte> piece) {
  if (!compressor_) return {};
  const auto room = std::span(compressed_).subspan(compressed_bytes_, piece.size() - 1);
  const std::size_t bytes = compressor_->compress(piece, room);
  compressed_bytes_ += bytes;
  return room.first(bytes);
}

void ExtentCutter::add_stored(Extent extent, std::span<const std::byte> stored) {
  extent.offset = stored_bytes_;
  extents_.push_back(extent);
  pieces_.push_back({const_cast<std::byte*>(stored.data()), stored.size()});
  stored_bytes_ += stored.size();
  stored_blocks_ += extent.blocks;
}

void ExtentCutter::add_zeros(std::uint64_t first_block, std::uint64_t blocks) {
  while (says_zeros_ && blocks != 0) {
    Extent extent;
    extent.first_block = first_block;
    extent.blocks = static_cast<std::uint32_t>(std::min<std::uint64_t>(blocks, kMaximumExtentBlocks));
    extent.zero = true;
    extents_.push_back(extent);
    first_block += extent.blocks;
    blocks -= extent.blocks;
  }
}

}  // namespace tintype

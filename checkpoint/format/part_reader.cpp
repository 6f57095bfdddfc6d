// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/part_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>

#include "checkpoint/format/compressor.h"
#include "checkpoint/format/part_layout.h"
#include "vmm/base/checksum.h"
#include "vmm/base/overflow.h"
#include "vmm/base/zero_scan.h"

namespace tintype {
namespace {

constexpr std::string_view kWrongSum = "are damaged: their checksum does not match";
constexpr std::size_t kPieceBytes = 1 << 20;
constexpr std::size_t kIndexStep = 16384 * part_layout::kEntryBytes;

std::unique_ptr<std::byte[]> buffer_of(std::uint64_t bytes) {
  return std::make_unique_for_overwrite<std::byte[]>(bytes);
}

}  // namespace

PartReader::PartReader(const std::filesystem::path& path) : PartReader(std::make_unique<FileSource>(path)) {}

PartReader::PartReader(std::unique_ptr<ByteSource> file) : file_(std::move(file)) {
  using namespace part_layout;
  const std::string& what = file_->name();
  summary_.file_bytes = file_->size();
  if (summary_.file_bytes < kDataOffset + kFooterBytes) throw ImageError("{} is cut short", what);

  HeaderBytes header_bytes;
  file_->read(0, header_bytes);
  const Header header = decode_header(header_bytes, what);
  kind_ = header.kind;
  summary_.content_bytes = header.content_bytes;
  summary_.incremental = header.incremental;
  if (summary_.content_bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    throw ImageError("{} says that it holds {} bytes, which cannot be", what, summary_.content_bytes);
  }

  FooterBytes footer_bytes;
  file_->read(summary_.file_bytes - kFooterBytes, footer_bytes);
  const Footer footer = decode_footer(footer_bytes, what);
  if (footer.format != header.format) throw ImageError("{} begins in one format version and ends in another", what);
  Checksum checksum;
  checksum.add(header_bytes);
  read_index(footer, checksum);
  checksum.add(footer_bytes);
  summary_.checksum = checksum.value();
  check_places();
}

// In pieces, each of which is checked before the next is read: an entry that holds nothing is refused, so what is kept
// in memory is never more than what really lies on disk, whatever size the file says it has.
void PartReader::read_index(const part_layout::Footer& footer, Checksum& whole) {
  const std::string& what = file_->name();
  const auto bytes = checked_multiply<std::uint64_t>(footer.entries, part_layout::kEntryBytes);
  const std::uint64_t end = summary_.file_bytes - part_layout::kFooterBytes;
  if (!bytes || footer.index_offset < part_layout::kDataOffset || footer.index_offset > end ||
      end - footer.index_offset != *bytes) {
    throw ImageError("{} has the wrong length for its index", what);
  }
  index_offset_ = footer.index_offset;
  Checksum checksum;
  std::vector<std::byte> buffer(std::min<std::uint64_t>(*bytes, kIndexStep));
  for (std::uint64_t offset = index_offset_; offset < end;) {
    const auto piece = std::span(buffer).first(std::min<std::uint64_t>(end - offset, buffer.size()));
    file_->read(offset, piece);
    checksum.add(piece);
    whole.add(piece);
    take_index(piece);
    offset += piece.size();
  }
  if (checksum.value() != footer.index_checksum) throw ImageError("the index of {} is damaged", what);
}

void PartReader::take_index(std::span<const std::byte> index) {
  std::uint64_t next_block = extents_.empty() ? 0 : extents_.back().end_block();
  for (; !index.empty(); index = index.subspan(part_layout::kEntryBytes)) {
    const auto extent = part_layout::decode_entry(index.first(part_layout::kEntryBytes));
    if (!extent || extent->first_block < next_block || !extent_is_sound(*extent)) {
      throw ImageError("the index of {} is wrong at entry {}", file_->name(), extents_.size());
    }
    next_block = extent->end_block();
    summary_.data_blocks += extent->zero ? 0 : extent->blocks;
    extents_.push_back(*extent);
  }
}

bool PartReader::extent_is_sound(const Extent& extent) const {
  if (extent.blocks == 0 || extent.blocks > kMaximumExtentBlocks) return false;
  if (!range_fits<std::uint64_t>(extent.first_block, extent.blocks, blocks())) return false;
  if (extent.zero)
    return extent.stored_bytes == 0 && extent.offset == 0 && extent.checksum == 0 && extent.codec == Compression::kNone;
  if (extent.offset < part_layout::kDataOffset) return false;
  if (!range_fits(extent.offset, extent.stored_bytes, index_offset_)) return false;
  return extent.codec == Compression::kNone ? extent.stored_bytes == extent.data_bytes()
                                            : extent.stored_bytes > 0 && extent.stored_bytes < extent.data_bytes();
}

std::vector<Extent> PartReader::extents_by_offset() const {
  std::vector<Extent> sorted;
  std::ranges::copy_if(extents_, std::back_inserter(sorted), [](const Extent& extent) { return !extent.zero; });
  if (!std::ranges::is_sorted(sorted, {}, &Extent::offset)) std::ranges::sort(sorted, {}, &Extent::offset);
  return sorted;
}

void PartReader::check_places() const {
  std::uint64_t end = part_layout::kDataOffset;
  for (const Extent& extent : extents_by_offset()) {
    if (extent.offset < end) throw ImageError("two extents of {} overlap at {}", file_->name(), extent.offset);
    end = extent.end_offset();
  }
}

void PartReader::read_extent(const Extent& extent, std::span<std::byte> into) const {
  check(into.size() == extent.data_bytes(), "the buffer is as large as the extent");
  if (extent.zero) {
    std::memset(into.data(), 0, into.size());
    return;
  }
  if (extent.codec == Compression::kNone) return read_stored(extent, into);
  const auto stored = buffer_of(extent.stored_bytes);
  const std::span<std::byte> bytes(stored.get(), extent.stored_bytes);
  read_stored(extent, bytes);
  if (!decompress(extent.codec, bytes, into)) throw_damaged(extent, "do not decompress");
}

void PartReader::check_extent(const Extent& extent, std::vector<std::byte>& spare) const {
  if (extent.zero) return;
  const bool packed = extent.codec != Compression::kNone;
  spare.resize(std::max<std::size_t>(spare.size(), packed ? extent.data_bytes() : kPieceBytes));
  if (packed) return read_extent(extent, std::span(spare).first(extent.data_bytes()));
  Checksum sum;
  for (std::uint64_t done = 0; done < extent.stored_bytes;) {
    const auto piece = std::span(spare).first(std::min<std::uint64_t>(extent.stored_bytes - done, kPieceBytes));
    file_->read(extent.offset + done, piece);
    sum.add(piece);
    done += piece.size();
  }
  if (sum.value() != extent.checksum) throw_damaged(extent, kWrongSum);
}

void PartReader::read_stored(const Extent& extent, std::span<std::byte> into) const {
  file_->read(extent.offset, into);
  if (checksum_of(into) != extent.checksum) throw_damaged(extent, kWrongSum);
}

void PartReader::pass(std::size_t most, const std::function<void(std::span<const std::byte>)>& take) const {
  const std::vector<Extent> extents = extents_by_offset();
  auto next = extents.begin();
  auto sum = std::make_unique<Checksum>();
  std::vector<std::byte> buffer(std::min<std::uint64_t>(summary_.file_bytes, most));
  for (std::uint64_t offset = 0; offset < summary_.file_bytes;) {
    const auto piece = std::span(buffer).first(std::min<std::uint64_t>(summary_.file_bytes - offset, buffer.size()));
    const std::uint64_t end = offset + piece.size();
    file_->read(offset, piece);
    std::uint64_t at = std::max<std::uint64_t>(offset, part_layout::kHeaderBytes);
    const auto check_zero = [&](std::uint64_t to) {
      if (at < to && !is_zero(piece.subspan(at - offset, to - at))) throw_not_empty(at, to);
    };
    for (; next != extents.end() && next->offset < end; ++next) {
      check_zero(next->offset);
      const std::uint64_t from = std::max(next->offset, offset), to = std::min(next->end_offset(), end);
      sum->add(piece.subspan(from - offset, to - from));
      at = to;
      if (to < next->end_offset()) break;
      if (sum->value() != next->checksum) throw_damaged(*next, kWrongSum);
      sum = std::make_unique<Checksum>();
    }
    check_zero(std::min(end, index_offset_));
    take(piece);
    offset = end;
  }
}

void PartReader::throw_damaged(const Extent& extent, std::string_view why) const {
  throw ImageError("blocks {} to {} of {} (bytes {} to {} of the file) {}", extent.first_block, extent.end_block() - 1,
                   file_->name(), extent.offset, extent.end_offset() - 1, why);
}

void PartReader::throw_not_empty(std::uint64_t from, std::uint64_t to) const {
  throw ImageError("{} holds something between {} and {} where nothing may be", file_->name(), from, to);
}

void PartReader::check_gaps() const {
  std::uint64_t end = part_layout::kHeaderBytes;
  for (const Extent& extent : extents_by_offset()) {
    check_gap(end, extent.offset);
    end = extent.end_offset();
  }
  check_gap(end, index_offset_);
}

void PartReader::check_gap(std::uint64_t from, std::uint64_t to) const {
  if (from == to) return;
  std::vector<std::byte> buffer(std::min<std::uint64_t>(to - from, kPieceBytes));
  while ((from = file_->next_data(from, to)) < to) {
    const auto piece = std::span(buffer).first(std::min<std::uint64_t>(to - from, buffer.size()));
    file_->read(from, piece);
    if (!is_zero(piece)) throw_not_empty(from, to);
    from += piece.size();
  }
}

}  // namespace tintype

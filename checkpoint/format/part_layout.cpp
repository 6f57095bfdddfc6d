// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/part_layout.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "vmm/base/checksum.h"
#include "vmm/base/little_endian.h"

namespace tintype::part_layout {
namespace {

constexpr std::string_view kHeaderMagic = "TINTPART", kFooterMagic = "TINTPEND";

// Offsets in the header. The last eight bytes of header and footer are the checksum of what stands before.
constexpr std::size_t kFormatOffset = 8, kBlockSizeOffset = 12, kKindOffset = 16, kFlagsOffset = 20,
                      kContentOffset = 24;
// Offsets in the footer.
constexpr std::size_t kIndexOffset = 16, kEntriesOffset = 24, kIndexChecksumOffset = 32;
// What must be zero: the end of the header, and two places in the footer.
constexpr std::size_t kHeaderRest = 32, kHeaderRestBytes = 24;
constexpr std::size_t kFooterGap = 12, kFooterGapBytes = 4, kFooterRest = 40, kFooterRestBytes = 16;
// Offsets in an entry of the index.
constexpr std::size_t kFirstBlockOffset = 0, kBlocksOffset = 8, kCodecOffset = 12, kTypeOffset = 13,
                      kReservedOffset = 14, kDataOffsetOffset = 16, kStoredOffset = 24, kChecksumOffset = 32;

constexpr std::uint8_t kTypeData = 0, kTypeZero = 1;

std::uint8_t codec_number(Compression codec) {
  switch (codec) {
    case Compression::kNone:
      return 0;
    case Compression::kLz4:
      return 1;
    case Compression::kZstd:
      return 2;
  }
  return 0;
}

std::optional<Compression> codec_of(std::uint8_t number) {
  switch (number) {
    case 0:
      return Compression::kNone;
    case 1:
      return Compression::kLz4;
    case 2:
      return Compression::kZstd;
    default:
      return std::nullopt;
  }
}

void put_magic(std::span<std::byte> bytes, std::string_view magic) {
  std::memcpy(bytes.data(), magic.data(), magic.size());
}

void seal(std::span<std::byte> bytes) {
  const auto body = bytes.first(bytes.size() - 8);
  store_number(bytes, body.size(), checksum_of(body));
}

void check_sealed(std::span<const std::byte> bytes, std::string_view magic, const std::string& what,
                  std::string_view name) {
  if (std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) {
    throw ImageError("{} has no valid {}: it is damaged, cut short, or not part of a checkpoint", what, name);
  }
  const auto body = bytes.first(bytes.size() - 8);
  if (checksum_of(body) != load_number<std::uint64_t>(bytes, body.size()))
    throw ImageError("the {} of {} is damaged", name, what);
}

void check_reserved(std::span<const std::byte> reserved, const std::string& what, std::string_view name) {
  if (std::ranges::all_of(reserved, [](std::byte byte) { return byte == std::byte{0}; })) return;
  throw ImageError("the {} of {} has something where nothing may be: it is damaged, or a later version's", name, what);
}

std::uint32_t read_format(std::span<const std::byte> bytes, const std::string& what) {
  const auto format = load_number<std::uint32_t>(bytes, kFormatOffset);
  if (format < kOldestFormat || format > kFormat) {
    throw ImageError("{} has format version {}; this version of Tintype reads {} to {}", what, format, kOldestFormat,
                     kFormat);
  }
  return format;
}

}  // namespace

HeaderBytes encode_header(const Header& header) {
  HeaderBytes bytes{};
  put_magic(bytes, kHeaderMagic);
  store_number(bytes, kFormatOffset, header.format);
  store_number(bytes, kBlockSizeOffset, static_cast<std::uint32_t>(kBlockSize));
  store_number(bytes, kKindOffset, static_cast<std::uint32_t>(header.kind));
  store_number(bytes, kFlagsOffset, header.incremental ? kFlagAbsentIsParent : 0);
  store_number(bytes, kContentOffset, header.content_bytes);
  seal(bytes);
  return bytes;
}

Header decode_header(const HeaderBytes& bytes, const std::string& what) {
  check_sealed(bytes, kHeaderMagic, what, "header");
  const std::uint32_t format = read_format(bytes, what);
  const auto kind = load_number<std::uint32_t>(bytes, kKindOffset);
  if (kind != static_cast<std::uint32_t>(PartKind::kMemory) && kind != static_cast<std::uint32_t>(PartKind::kDisk)) {
    throw ImageError("{} is a part of unknown kind {}", what, kind);
  }
  const auto flags = load_number<std::uint32_t>(bytes, kFlagsOffset);
  if ((flags & ~(format == kOldestFormat ? 0 : kFlagAbsentIsParent)) != 0)
    throw ImageError("{} needs features that format version {} does not have", what, format);
  if (load_number<std::uint32_t>(bytes, kBlockSizeOffset) != kBlockSize)
    throw ImageError("{} has an unknown block size", what);
  check_reserved(std::span(bytes).subspan(kHeaderRest, kHeaderRestBytes), what, "header");
  return {static_cast<PartKind>(kind), load_number<std::uint64_t>(bytes, kContentOffset), flags != 0, format};
}

FooterBytes encode_footer(const Footer& footer) {
  FooterBytes bytes{};
  put_magic(bytes, kFooterMagic);
  store_number(bytes, kFormatOffset, footer.format);
  store_number(bytes, kIndexOffset, footer.index_offset);
  store_number(bytes, kEntriesOffset, footer.entries);
  store_number(bytes, kIndexChecksumOffset, footer.index_checksum);
  seal(bytes);
  return bytes;
}

Footer decode_footer(const FooterBytes& bytes, const std::string& what) {
  check_sealed(bytes, kFooterMagic, what, "footer");
  check_reserved(std::span(bytes).subspan(kFooterGap, kFooterGapBytes), what, "footer");
  check_reserved(std::span(bytes).subspan(kFooterRest, kFooterRestBytes), what, "footer");
  return {load_number<std::uint64_t>(bytes, kIndexOffset), load_number<std::uint64_t>(bytes, kEntriesOffset),
          load_number<std::uint64_t>(bytes, kIndexChecksumOffset), read_format(bytes, what)};
}

void encode_entry(const Extent& extent, std::span<std::byte> into) {
  store_number(into, kFirstBlockOffset, extent.first_block);
  store_number(into, kBlocksOffset, extent.blocks);
  store_number(into, kCodecOffset, codec_number(extent.codec));
  store_number(into, kTypeOffset, extent.zero ? kTypeZero : kTypeData);
  store_number<std::uint16_t>(into, kReservedOffset, 0);
  store_number(into, kDataOffsetOffset, extent.offset);
  store_number(into, kStoredOffset, extent.stored_bytes);
  store_number(into, kChecksumOffset, extent.checksum);
}

std::optional<Extent> decode_entry(std::span<const std::byte> from) {
  const auto codec = codec_of(load_number<std::uint8_t>(from, kCodecOffset));
  const auto type = load_number<std::uint8_t>(from, kTypeOffset);
  if (!codec || type > kTypeZero || load_number<std::uint16_t>(from, kReservedOffset) != 0) return std::nullopt;
  return Extent{load_number<std::uint64_t>(from, kFirstBlockOffset),
                load_number<std::uint32_t>(from, kBlocksOffset),
                *codec,
                type == kTypeZero,
                load_number<std::uint64_t>(from, kDataOffsetOffset),
                load_number<std::uint64_t>(from, kStoredOffset),
                load_number<std::uint64_t>(from, kChecksumOffset)};
}

}  // namespace tintype::part_layout

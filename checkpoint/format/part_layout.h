// SPDX-License-Identifier: Apache-2.0
#pragma once

// The bytes of a part (checkpoint/FORMAT.md), for its writer and its reader.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "checkpoint/format/part_format.h"

namespace tintype::part_layout {

/// Written. The oldest that is read: it has no flags.
inline constexpr std::uint32_t kFormat = 2, kOldestFormat = 1;
inline constexpr std::size_t kHeaderBytes = 64, kFooterBytes = 64, kEntryBytes = 40;

/// Where the first extent begins, so that uncompressed blocks lie at multiples of their size. The bytes
/// between are zero.
inline constexpr std::uint64_t kDataOffset = 4096;

/// Blocks in no extent are the parent's and not zero. From version 2 on.
inline constexpr std::uint32_t kFlagAbsentIsParent = 1;

using HeaderBytes = std::array<std::byte, kHeaderBytes>;
using FooterBytes = std::array<std::byte, kFooterBytes>;

struct Header {
  PartKind kind = PartKind::kMemory;
  std::uint64_t content_bytes = 0;
  bool incremental = false;
  std::uint32_t format = kFormat;
};

struct Footer {
  std::uint64_t index_offset = 0, entries = 0, index_checksum = 0;
  std::uint32_t format = kFormat;  ///< the same as the header's
};

HeaderBytes encode_header(const Header& header);
/// Throws ImageError with `what` in its text; so do the others.
Header decode_header(const HeaderBytes& bytes, const std::string& what);

FooterBytes encode_footer(const Footer& footer);
Footer decode_footer(const FooterBytes& bytes, const std::string& what);

/// `into` holds kEntryBytes.
void encode_entry(const Extent& extent, std::span<std::byte> into);
/// Nothing where a value is not one that the format knows. How extents lie to each other is for the reader to
/// check.
std::optional<Extent> decode_entry(std::span<const std::byte> from);

}  // namespace tintype::part_layout

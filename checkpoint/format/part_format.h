// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "vmm/base/error.h"
#include "vmm/base/words.h"

namespace tintype {

/// The unit of a part. Memory: a page by its number in GuestMemory (without the hole). Disks: byte offset /
/// 4096.
inline constexpr std::uint64_t kBlockSize = 4096;

/// No extent holds more blocks than this, so that a reader knows the buffer it needs before it reads.
inline constexpr std::uint32_t kMaximumExtentBlocks = 4096;

/// How the stored bytes of an extent are packed.
enum class Compression : std::uint8_t { kNone, kLz4, kZstd };

template <>
inline constexpr auto kWords<Compression> = std::to_array<Word<Compression>>({{Compression::kNone, "none"},
                                                                              {Compression::kLz4, "lz4"},
                                                                              {Compression::kZstd, "zstd"}});

enum class PartKind : std::uint32_t { kMemory = 1, kDisk = 2 };

/// A run of blocks in a part, as the index has it.
struct Extent {
  std::uint64_t first_block = 0;
  std::uint32_t blocks = 0;
  Compression codec = Compression::kNone;
  bool zero = false;               ///< explicitly zero: no bytes are stored
  std::uint64_t offset = 0;        ///< in the file
  std::uint64_t stored_bytes = 0;  ///< in the file
  std::uint64_t checksum = 0;      ///< xxh3-64 of the stored bytes

  std::uint64_t end_block() const noexcept { return first_block + blocks; }
  std::uint64_t data_bytes() const noexcept { return blocks * kBlockSize; }
  std::uint64_t end_offset() const noexcept { return offset + stored_bytes; }
};

/// What a manifest says of a part. `checksum` is the xxh3-64 of header, index and footer; as the index holds
/// the checksums of all data, it stands for every byte of the file.
struct PartSummary {
  std::uint64_t content_bytes = 0;  ///< of the memory or disk
  std::uint64_t file_bytes = 0;
  std::uint64_t checksum = 0;
  std::uint64_t data_blocks = 0;  ///< blocks in extents with data
  bool incremental = false;       ///< blocks in no extent are the parent's; otherwise they are zero
  bool operator==(const PartSummary&) const = default;
};

/// A checkpoint, or a part of one, is damaged or not of our making. The text names the file and the place.
class ImageError : public Error {
 public:
  using Error::Error;
};

/// The destination has no room left. The text says where, and how far the writing came.
class DestinationFull : public Error {
 public:
  using Error::Error;
};

}  // namespace tintype

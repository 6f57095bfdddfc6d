// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/format/byte_source.h"
#include "checkpoint/format/part_format.h"

namespace tintype {

class Checksum;

namespace part_layout {
struct Footer;
}

/// Reads one part: what is in its file, and nothing of its parent. The constructor checks header, footer and index
/// wholly; the data of an extent is checked when it is read. All reading is const and may go on from several threads at
/// once.
class PartReader {
 public:
  /// Throws ImageError where the file is damaged, std::system_error where it cannot be read.
  explicit PartReader(const std::filesystem::path& path);
  explicit PartReader(std::unique_ptr<ByteSource> file);

  PartKind kind() const noexcept { return kind_; }
  std::uint64_t content_bytes() const noexcept { return summary_.content_bytes; }
  std::uint64_t blocks() const noexcept { return (content_bytes() + kBlockSize - 1) / kBlockSize; }
  const PartSummary& summary() const noexcept { return summary_; }
  /// Where it lies, for messages.
  std::filesystem::path path() const { return file_->name(); }

  /// Blocks in no extent are the parent's; otherwise they are zero.
  bool incremental() const noexcept { return summary_.incremental; }

  /// Sorted by block, not overlapping.
  std::span<const Extent> extents() const noexcept { return extents_; }

  /// The data of one extent; `into` holds exactly extent.data_bytes(). When this returns, the checksum was
  /// right; when it throws ImageError, what `into` holds must not be used.
  void read_extent(const Extent& extent, std::span<std::byte> into) const;

  /// That read_extent() would give it. `spare` is where it puts what it reads, a piece at a time where that will do.
  void check_extent(const Extent& extent, std::vector<std::byte>& spare) const;

  /// Its bytes as they lie in the file, checked; `into` holds exactly extent.stored_bytes, which are not none.
  void read_stored(const Extent& extent, std::span<std::byte> into) const;

  /// The file as it lies there, from its first byte to its last, in pieces of at most `most` bytes. The data of an
  /// extent is checked as its last byte passes: throws ImageError instead of giving that piece away.
  void pass(std::size_t most, const std::function<void(std::span<const std::byte>)>& take) const;

  /// Reads the bytes of the file that no extent, index or footer covers. They must be zero; throws ImageError
  /// where they are not.
  void check_gaps() const;

 private:
  void read_index(const part_layout::Footer& footer, Checksum& whole);
  void take_index(std::span<const std::byte> index);
  bool extent_is_sound(const Extent& extent) const;
  void check_places() const;
  std::vector<Extent> extents_by_offset() const;
  void check_gap(std::uint64_t from, std::uint64_t to) const;
  [[noreturn]] void throw_not_empty(std::uint64_t from, std::uint64_t to) const;
  [[noreturn]] void throw_damaged(const Extent& extent, std::string_view why) const;

  std::unique_ptr<ByteSource> file_;
  PartKind kind_ = PartKind::kMemory;
  PartSummary summary_;
  std::uint64_t index_offset_ = 0;
  std::vector<Extent> extents_;
};

}  // namespace tintype

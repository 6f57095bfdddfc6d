// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "devices/block/block_file.h"
#include "devices/block/image_mark.h"
#include "vmm/base/absent_blocks.h"
#include "vmm/base/image_note.h"

namespace tintype {

/// What tells an image from its copies: a raw image has no room for a name of its own.
struct BaseIdentity {
  bool is_block_device = false;
  std::uint64_t inode = 0;     ///< of a block device: its device number
  std::uint64_t birth_ns = 0;  ///< when the inode was made; 0 where the file system does not say
  bool operator==(const BaseIdentity&) const = default;
};

/// Of the file at `path`, or nothing where there is none.
std::optional<BaseIdentity> identity_of(const std::filesystem::path& path);

/// A raw disk image (or a block device), open and locked against other machines for as long as the object
/// lives.
class RawFile : public BlockFile {
 public:
  /// Throws tintype::Error, one sentence each: missing, neither a regular file nor a block device, no
  /// permission, in use, empty, not a multiple of 512 bytes, and, unless `absent` knows the rest, not whole. Changes
  /// nothing.
  static std::shared_ptr<RawFile> open(const std::filesystem::path& path, bool read_only,
                                       std::shared_ptr<AbsentBlocks> absent = {});
  /// The same of an image without a name, by a descriptor of it; `path`, which is absolute, is what to call it. For
  /// reading.
  static std::shared_ptr<RawFile> open_unnamed(int image, const std::filesystem::path& path,
                                               std::shared_ptr<AbsentBlocks> absent);

  std::uint64_t size() const noexcept { return size_; }

  /// What is not there yet; null where it was all there when it was opened.
  AbsentBlocks* absent() const noexcept { return absent_.get(); }
  bool is_whole() const noexcept { return absent_ == nullptr || absent_->bytes_left() == 0; }
  /// Nobody writes to it but who commits.
  bool rests() const noexcept { return absent_ == nullptr || absent_->is_complete(); }
  /// To be called before reading a range by the descriptor. Throws where it cannot be had.
  void bring(std::uint64_t offset, std::uint64_t length) const {
    if (!is_whole()) absent_->bring(offset, length);
  }
  bool is_block_device() const noexcept { return is_block_device_; }
  /// Nobody ever had it before, and it has no logs but those that are made for it.
  bool is_unnamed() const noexcept { return is_unnamed_; }

  /// Lets others have the image, though the descriptor stays open.
  void unlock() noexcept;

  BaseIdentity identity() const;
  /// When the contents were last changed (mtime), in nanoseconds since 1970.
  std::uint64_t modified_ns() const;

  /// The mark that the image carries while it has logs. The thread that opens, switches or commits, one at a time.
  const std::optional<ImageMark>& mark() const noexcept { return mark_; }
  /// Logs first_log to last_log lie in that directory.
  void set_mark(const ImageMark& mark);
  void clear_mark();

  /// What it said when it was opened, or has been told since: that its machine is suspended. Same thread.
  const std::optional<SuspendNote>& suspended() const noexcept { return suspended_; }
  /// Throws tintype::Error where it cannot be told.
  void set_suspended(const SuspendNote& note);
  void clear_suspended();

  /// Makes the contents and modified_ns() durable, and takes no report of lost data from anybody. Throws
  /// std::system_error.
  void settle() const;

  struct Range {
    std::uint64_t offset = 0, length = 0;
  };
  /// The next range at or after `offset` that the file system holds data for (bytes), or that is not there yet. Where
  /// it cannot tell, everything is data.
  std::optional<Range> next_data(std::uint64_t offset) const;

 private:
  std::optional<Range> next_data_there(std::uint64_t offset) const;
  RawFile(std::filesystem::path path, UniqueFd fd, std::uint64_t size, bool is_block_device)
      : BlockFile(std::move(path), std::move(fd)), size_(size), is_block_device_(is_block_device) {}

  std::uint64_t size_;
  bool is_block_device_;
  bool is_unnamed_ = false;
  std::optional<ImageMark> mark_;
  std::optional<SuspendNote> suspended_;
  std::shared_ptr<AbsentBlocks> absent_;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "devices/block/block_file.h"

namespace tintype {

/// A raw disk image (or a block device), open and locked against other machines for as long as the object lives.
class RawFile : public BlockFile {
 public:
  /// Throws tintype::Error, one sentence each: missing, neither a regular file nor a block device, no permission, in use, empty, not a
  /// multiple of 512 bytes. Changes nothing.
  static std::shared_ptr<RawFile> open(const std::filesystem::path& path, bool read_only);

  std::uint64_t size() const noexcept { return size_; }
  bool is_block_device() const noexcept { return is_block_device_; }

  struct Range {
    std::uint64_t offset = 0, length = 0;
  };
  /// The next range at or after `offset` that the file system holds data for (bytes). Where it cannot tell, everything is data.
  std::optional<Range> next_data(std::uint64_t offset) const;

 private:
  RawFile(std::filesystem::path path, UniqueFd fd, std::uint64_t size, bool is_block_device)
      : BlockFile(std::move(path), std::move(fd)), size_(size), is_block_device_(is_block_device) {}

  std::uint64_t size_;
  bool is_block_device_;
};

}  // namespace tintype

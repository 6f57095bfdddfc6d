// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "checkpoint/format/byte_source.h"

namespace tintype {

/// The files of one checkpoint, wherever they lie, for whoever reads them.
class CheckpointFolder {
 public:
  virtual ~CheckpointFolder() = default;
  /// Where a file lies, for messages.
  virtual std::string path_of(const std::string& file) const = 0;
  /// Throws ImageError where it is missing.
  virtual std::unique_ptr<ByteSource> open(const std::string& file) const = 0;
  /// All that are there, and how long each is.
  virtual std::map<std::string, std::uint64_t> files() const = 0;
};

class DirectoryFolder final : public CheckpointFolder {
 public:
  explicit DirectoryFolder(std::filesystem::path directory) : directory_(std::move(directory)) {}
  const std::filesystem::path& directory() const noexcept { return directory_; }
  std::string path_of(const std::string& file) const override { return (directory_ / file).string(); }
  std::unique_ptr<ByteSource> open(const std::string& file) const override;
  std::map<std::string, std::uint64_t> files() const override;

 private:
  const std::filesystem::path directory_;
};

}  // namespace tintype

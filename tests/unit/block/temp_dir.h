// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace tintype {

/// A directory that is gone when the test is over.
class TempDir {
 public:
  explicit TempDir(const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    std::string name = (parent / "tintype-block-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }

  /// A sparse image of `size` bytes.
  std::filesystem::path image(std::uint64_t size, const std::string& name = "disk.img") const {
    const std::filesystem::path path = path_ / name;
    std::ofstream(path).flush();
    std::filesystem::resize_file(path, size);
    return path;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

namespace tintype::test {

/// Where captures go: a directory of our own in the one that the user named. It goes when the bench does.
class Place {
 public:
  explicit Place(const std::filesystem::path& parent);
  ~Place();
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  /// A path in it that does not exist.
  std::filesystem::path unused();

 private:
  std::filesystem::path path_;
  int used_ = 0;
};

/// Bytes of a file, or of all files in a directory.
std::uint64_t bytes_in(const std::filesystem::path& path);

}  // namespace tintype::test

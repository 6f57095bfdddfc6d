// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// A file that takes its name only when it is whole: until finish() it lies beside that name under another
/// one, and it is removed where finish() is never reached. What is not written is a hole.
class SparseFile {
 public:
  /// A regular file of that name will be replaced; throws tintype::Error where anything else is there, or the
  /// place cannot be written.
  SparseFile(const std::filesystem::path& path, std::uint64_t bytes);
  ~SparseFile();
  SparseFile(const SparseFile&) = delete;
  SparseFile& operator=(const SparseFile&) = delete;

  void write(std::uint64_t offset, std::span<const std::byte> data);
  void finish();

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_, temporary_;  ///< temporary_ is empty when finished
  UniqueFd fd_;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// A new file with these bytes. Everything throws DestinationFull or std::system_error.
class SmallFile {
 public:
  /// Writes it, and lets the device begin.
  SmallFile(std::filesystem::path path, std::span<const std::byte> bytes);
  /// fsync.
  void sync();

 private:
  [[noreturn]] void rethrow() const;

  std::filesystem::path path_;
  UniqueFd fd_;
};

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <system_error>

namespace tintype {

/// Two names of one file, or one name. Where either is not there, or is nothing that can be compared (a pipe), only the
/// names count.
inline bool is_same_file(const std::filesystem::path& one, const std::filesystem::path& other) {
  std::error_code cannot_say;
  return one == other || std::filesystem::equivalent(one, other, cannot_say);
}

}  // namespace tintype

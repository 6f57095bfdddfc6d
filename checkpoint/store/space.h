// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace tintype {

/// What the file system of this directory has left for us.
std::uint64_t free_bytes(const std::filesystem::path& directory);

/// Throws DestinationFull where the file system of this directory has less than so many bytes free. `what` is the
/// subject of the sentence: "the checkpoint", "disk0".
void require_space(const std::filesystem::path& directory, std::uint64_t bytes, std::string_view what);

/// Throws for a write to `path` that failed: DestinationFull where there was no room, Error otherwise.
[[noreturn]] void throw_write_error(const std::filesystem::path& path, int error_number);

}  // namespace tintype

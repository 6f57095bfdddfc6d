// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace tintype {

/// A new file with these bytes, on the device. Throws DestinationFull, std::system_error.
void write_small_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace tintype

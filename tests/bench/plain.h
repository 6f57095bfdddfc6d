// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

namespace tintype::test {

/// A plain write of so many bytes to a new file, and fdatasync; the file is removed afterwards. In milliseconds.
double plain_write_ms(const std::filesystem::path& path, std::uint64_t bytes);

/// One memcpy of so much memory, from and to memory that is there already.
double memcpy_ms(std::uint64_t bytes);

}  // namespace tintype::test

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

namespace tintype {

/// The secret that two computers share: at least 32 hexadecimal digits in a file that only its owner may read, as
/// `openssl rand -hex 32` makes them. Throws tintype::Error that says what is wrong with it, and never what is in it.
std::vector<std::byte> read_key_file(const std::filesystem::path& file);

}  // namespace tintype

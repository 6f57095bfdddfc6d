// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

namespace tintype {

/// Makes an image whole that says that it is not: a restored machine was killed before all of the checkpoint was in it.
/// Returns the bytes copied. Killed half-way, it is to be repeated. Throws tintype::Error where the image is whole, or
/// the checkpoint is not there any more.
std::uint64_t complete_image(const std::filesystem::path& image);

}  // namespace tintype

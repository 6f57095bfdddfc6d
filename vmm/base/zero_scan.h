// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace tintype {

/// True where all bytes are zero. Leaves at the first 64 bytes that are not, so that data costs next to
/// nothing.
bool is_zero(std::span<const std::byte> bytes) noexcept;

}  // namespace tintype

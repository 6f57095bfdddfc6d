// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace tintype {

/// Tells whether the host has been started anew: what was written before and not synced may be lost then, and must be
/// there otherwise. Zeros where the host does not say.
std::array<std::uint8_t, 16> boot_id() noexcept;

}  // namespace tintype

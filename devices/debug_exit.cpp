// SPDX-License-Identifier: Apache-2.0
#include "devices/debug_exit.h"

#include <algorithm>

namespace tintype {

void DebugExit::bus_read(std::uint64_t, std::span<std::byte> data) noexcept { std::ranges::fill(data, std::byte{0}); }

void DebugExit::bus_write(std::uint64_t, std::span<const std::byte> data) noexcept {
  const auto lowest =
      data.empty() ? 0U : std::to_integer<unsigned>(data.front());  // only 7 bits of the value reach the status
  on_exit_(static_cast<int>((lowest << 1 | 1) & 0xff));
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "devices/pvpanic.h"

#include <algorithm>

namespace tintype {

namespace {

constexpr auto kPanicked = static_cast<unsigned>(Pvpanic::Event::kPanicked);
constexpr auto kCrashLoaded = static_cast<unsigned>(Pvpanic::Event::kCrashLoaded);

}  // namespace

void Pvpanic::bus_read(std::uint64_t, std::span<std::byte> data) noexcept {
  std::ranges::fill(data, std::byte{0});
  if (!data.empty()) data.front() = std::byte{kPanicked | kCrashLoaded};
}

void Pvpanic::bus_write(std::uint64_t, std::span<const std::byte> data) noexcept {
  const unsigned events = data.empty() ? 0 : std::to_integer<unsigned>(data.front());
  if ((events & kPanicked) != 0) {
    on_event_(Event::kPanicked);
  } else if ((events & kCrashLoaded) != 0) {
    on_event_(Event::kCrashLoaded);
  }
}

}  // namespace tintype

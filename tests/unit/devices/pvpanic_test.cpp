// SPDX-License-Identifier: Apache-2.0
#include "devices/pvpanic.h"

#include <array>
#include <vector>

#include <doctest/doctest.h>

namespace tintype {

TEST_CASE("pvpanic: a read says which events are known, a write tells one, and rubbish tells nothing") {
  std::vector<Pvpanic::Event> seen;
  Pvpanic port([&](Pvpanic::Event event) { seen.push_back(event); });
  std::array<std::byte, 4> data{};
  port.bus_read(0, data);
  CHECK(data == std::array{std::byte{3}, std::byte{0}, std::byte{0}, std::byte{0}});
  const auto write = [&](unsigned value) {
    const std::byte byte{static_cast<std::uint8_t>(value)};
    port.bus_write(0, std::span(&byte, 1));
  };
  write(0), write(4), write(0x80);
  CHECK(seen.empty());
  write(2), write(1), write(3), write(0xff);
  using enum Pvpanic::Event;
  CHECK(seen == std::vector{kCrashLoaded, kPanicked, kPanicked, kPanicked});
  port.bus_write(0, {});
  CHECK(seen.size() == 4);
}

}  // namespace tintype

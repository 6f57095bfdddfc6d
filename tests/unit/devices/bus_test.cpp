// SPDX-License-Identifier: Apache-2.0
#include "devices/bus.h"

#include <algorithm>
#include <vector>

#include <doctest/doctest.h>

#include "vmm/base/error.h"

namespace tintype {
namespace {

/// Remembers the last access; reads give 0x11, 0x22, ...
class Probe final : public BusDevice {
 public:
  void bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept override {
    last_offset = offset;
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = std::byte(0x11 * (i + 1));
  }
  void bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
    last_offset = offset;
    written.assign(data.begin(), data.end());
  }
  std::uint64_t last_offset = ~0ULL;
  std::vector<std::byte> written;
};

struct BusFixture {
  Bus bus;
  Probe low, high;
  BusFixture() {
    bus.attach(0x100, 0x10, low, "low");
    bus.attach(0x110, 0x10, high, "high");
  }
  bool read(std::uint64_t address, std::size_t width) {
    data.assign(width, std::byte{0});
    return bus.read(address, data);
  }
  std::vector<std::byte> data;
};

}  // namespace

TEST_CASE_FIXTURE(BusFixture, "bus: an access reaches the window that holds it, with its offset") {
  CHECK(read(0x10f, 1));
  CHECK(low.last_offset == 0xf);
  CHECK(read(0x110, 8));
  CHECK(high.last_offset == 0);
  CHECK(data[1] == std::byte{0x22});
  const std::byte value[2] = {std::byte{1}, std::byte{2}};
  CHECK(bus.write(0x11e, value));
  CHECK(high.last_offset == 0xe);
  CHECK(high.written == std::vector<std::byte>(value, value + 2));
}

TEST_CASE_FIXTURE(BusFixture, "bus: where nobody is, reads are all ones and writes go nowhere") {
  for (const std::uint64_t address : {0ULL, 0xffULL, 0x120ULL, ~0ULL}) {
    CHECK_FALSE(read(address, 4));
    CHECK(std::ranges::all_of(data, [](std::byte byte) { return byte == std::byte{0xff}; }));
    CHECK_FALSE(bus.write(address, data));
  }
  CHECK(low.last_offset == ~0ULL);
  CHECK(high.last_offset == ~0ULL);
}

TEST_CASE_FIXTURE(BusFixture, "bus: an access that crosses a window's edge reaches neither neighbour") {
  CHECK_FALSE(read(0x10f, 2));
  CHECK_FALSE(read(0xff, 4));
  CHECK_FALSE(read(0x11d, 4));
  CHECK(low.last_offset == ~0ULL);
  CHECK(high.last_offset == ~0ULL);
}

TEST_CASE_FIXTURE(BusFixture, "bus: two devices cannot claim one address") {
  Probe other;
  CHECK_THROWS_AS(bus.attach(0x10f, 1, other, "other"), Error);
  CHECK_THROWS_AS(bus.attach(0xf0, 0x11, other, "other"), Error);
  CHECK_THROWS_AS(bus.attach(0x0, 0x1000, other, "other"), Error);
  CHECK_NOTHROW(bus.attach(0xf0, 0x10, other, "other"));
  CHECK_NOTHROW(bus.attach(~0ULL, 1, other, "top"));
  CHECK(bus.name_at(0xff) == "other");
  CHECK(bus.name_at(0x100) == "low");
  CHECK(bus.name_at(0x120).empty());
}

}  // namespace tintype

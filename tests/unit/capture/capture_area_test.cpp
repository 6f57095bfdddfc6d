// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/capture_area.h"

#include <memory>

#include <doctest/doctest.h>

#include "checkpoint/capture/area_size.h"
#include "vmm/base/error.h"

namespace tintype {

TEST_CASE("a full area gives nothing, and rings when the writer has made room") {
  CaptureArea area(2 * 4096, 4096);
  const auto bell = std::make_shared<EventFd>();
  area.prepare(area.size(), [] {});
  const auto first = area.take(10);
  REQUIRE(area.take(11));
  CHECK_FALSE(area.take(12));
  CHECK_FALSE(area.full());
  area.ring_when_free(bell);
  CHECK(area.full());
  area.put(*first);
  const auto filled = area.next_filled();
  REQUIRE(filled);
  CHECK(filled->chunk == 10);
  CHECK_FALSE(bell->take());
  area.give_back(*filled);
  CHECK(bell->take());
  CHECK_FALSE(area.full());
  const auto third = area.take(12);
  REQUIRE(third);
  CHECK(third->chunk == 12);
  CHECK(area.peak_bytes() == 2 * 4096);
}

TEST_CASE("room that came while somebody made up their mind to wait is not missed") {
  CaptureArea area(4096, 4096);
  const auto bell = std::make_shared<EventFd>();
  area.prepare(area.size(), [] {});
  const auto slot = area.take(0);
  CHECK_FALSE(area.take(1));
  area.give_back(*slot);
  area.ring_when_free(bell);
  CHECK(bell->take());
}

TEST_CASE("closing the area rings, and afterwards nobody waits") {
  CaptureArea area(4096, 4096);
  const auto bell = std::make_shared<EventFd>();
  area.prepare(area.size(), [] {});
  REQUIRE(area.take(0));
  area.ring_when_free(bell);
  area.close();
  CHECK(bell->take());
  CHECK_FALSE(area.take(1).has_value());
  area.ring_when_free(bell);
  CHECK_FALSE(bell->take());
}

TEST_CASE("what was preserved first is written first") {
  CaptureArea area(3 * 4096, 4096);
  area.prepare(area.size(), [] {});
  for (const std::uint64_t chunk : {5, 3, 9}) area.put(*area.take(chunk));
  CHECK(area.next_filled()->chunk == 5);
  CHECK(area.next_filled()->chunk == 3);
  CHECK(area.next_filled()->chunk == 9);
  CHECK_FALSE(area.next_filled().has_value());
}

TEST_CASE("an area is used for one capture after the other, and nothing of the last one is left in it") {
  CaptureArea area(2 * 4096, 4096);
  area.prepare(area.size(), [] {});
  area.put(*area.take(10));
  REQUIRE(area.take(11));
  area.close();
  CHECK_FALSE(area.take(12).has_value());
  area.keep_ready(0);
  area.prepare(area.size(), [] {});
  CHECK_FALSE(area.next_filled().has_value());
  CHECK(area.peak_bytes() == 0);
  CHECK(area.take(1));
  CHECK(area.take(2));
}

TEST_CASE("an area is never larger than memory, nor smaller than a fault needs") {
  constexpr std::uint64_t kMiB = 1 << 20, kPlenty = 64ULL << 30;
  CHECK(capture_area_bytes(0, 64 * kMiB, kPlenty) == 32 * kMiB);
  CHECK(capture_area_bytes(0, 16ULL << 30, kPlenty) == 1024 * kMiB);
  CHECK(capture_area_bytes(0, 16ULL << 30, 400 * kMiB) == 100 * kMiB);
  CHECK(capture_area_bytes(0, 64 * kMiB, 0) == 8 * kMiB);
  CHECK(capture_area_bytes(0, 1 * kMiB, kPlenty) == 2 * kMiB);
  CHECK(capture_area_bytes(16ULL << 30, 64 * kMiB, kPlenty) == 64 * kMiB);
  CHECK(capture_area_bytes(~0ULL, 64 * kMiB, kPlenty) == 64 * kMiB);
  CHECK(capture_area_bytes(1, 64 * kMiB, kPlenty) == 2 * kMiB);
  CHECK(capture_area_bytes(5 * kMiB, 64 * kMiB, kPlenty) == 6 * kMiB);
}

TEST_CASE("an area that the host has no room for is refused with what it has") {
  CHECK_THROWS_WITH_AS(capture_area_bytes(8ULL << 30, 16ULL << 30, 4ULL << 30),
                       "a capture area of 8192 MiB does not fit into the 4096 MiB that this host has available: give a "
                       "smaller --capture-area, or none",
                       Error);
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/capture_area.h"

#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/capture/area_size.h"
#include "vmm/base/error.h"

namespace tintype {

TEST_CASE("a full area makes the handler wait for the writer, and counts it") {
  CaptureArea area(2 * 4096, 4096);
  area.prepare(area.size(), [] {});
  const auto first = area.take(10, true);
  REQUIRE(area.take(11, true));
  CHECK_FALSE(area.take(12, false));
  std::optional<CaptureArea::Slot> third;
  std::thread handler([&] { third = area.take(12, true); });
  area.put(*first);
  const auto filled = area.next_filled();
  REQUIRE(filled);
  CHECK(filled->chunk == 10);
  area.give_back(*filled);
  handler.join();
  REQUIRE(third);
  CHECK(third->chunk == 12);
  CHECK(area.peak_bytes() == 2 * 4096);
}

TEST_CASE("closing the area lets a waiting handler go without a slot") {
  CaptureArea area(4096, 4096);
  area.prepare(area.size(), [] {});
  REQUIRE(area.take(0, true));
  std::optional<CaptureArea::Slot> slot = CaptureArea::Slot{};
  std::thread handler([&] { slot = area.take(1, true); });
  area.close();
  handler.join();
  CHECK_FALSE(slot.has_value());
}

TEST_CASE("what was preserved first is written first") {
  CaptureArea area(3 * 4096, 4096);
  area.prepare(area.size(), [] {});
  for (const std::uint64_t chunk : {5, 3, 9}) area.put(*area.take(chunk, true));
  CHECK(area.next_filled()->chunk == 5);
  CHECK(area.next_filled()->chunk == 3);
  CHECK(area.next_filled()->chunk == 9);
  CHECK_FALSE(area.next_filled().has_value());
}

TEST_CASE("an area is used for one capture after the other, and nothing of the last one is left in it") {
  CaptureArea area(2 * 4096, 4096);
  area.prepare(area.size(), [] {});
  area.put(*area.take(10, true));
  REQUIRE(area.take(11, true));
  area.close();
  CHECK_FALSE(area.take(12, true).has_value());
  area.keep_ready(0);
  area.prepare(area.size(), [] {});
  CHECK_FALSE(area.next_filled().has_value());
  CHECK(area.peak_bytes() == 0);
  CHECK(area.take(1, true));
  CHECK(area.take(2, true));
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

// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/capture_area.h"

#include <thread>

#include <doctest/doctest.h>

namespace tintype {

TEST_CASE("a full area makes the handler wait for the writer, and counts it") {
  CaptureArea area(2 * 4096, 4096);
  const auto first = area.take(10);
  REQUIRE(area.take(11));
  CHECK_FALSE(area.try_take(12));
  std::optional<CaptureArea::Slot> third;
  std::thread handler([&] { third = area.take(12); });
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
  REQUIRE(area.take(0));
  std::optional<CaptureArea::Slot> slot = CaptureArea::Slot{};
  std::thread handler([&] { slot = area.take(1); });
  area.close();
  handler.join();
  CHECK_FALSE(slot.has_value());
}

TEST_CASE("what was preserved first is written first") {
  CaptureArea area(3 * 4096, 4096);
  for (const std::uint64_t chunk : {5, 3, 9}) area.put(*area.take(chunk));
  CHECK(area.next_filled()->chunk == 5);
  CHECK(area.next_filled()->chunk == 3);
  CHECK(area.next_filled()->chunk == 9);
  CHECK_FALSE(area.next_filled().has_value());
}

}  // namespace tintype

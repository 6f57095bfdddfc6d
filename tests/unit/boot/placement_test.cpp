// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/placement.h"

#include <doctest/doctest.h>

#include "vmm/base/error.h"

namespace tintype {

namespace {

LoadedPart part(std::uint64_t start, std::uint64_t size) {
  return {.image = "k", .name = "piece", .start = start, .size = size};
}

}  // namespace

TEST_CASE("two parts never overlap, not by one byte and not by wrapping around") {
  GuestMemory memory(4 << 20);
  Placement placement(memory);
  placement.claim(part(0x200000, 0x1000));
  CHECK_THROWS_AS(placement.claim(part(0x200fff, 1)), Error);
  CHECK_THROWS_AS(placement.claim(part(0x1ff000, 0x1001)), Error);
  CHECK_THROWS_AS(placement.claim(part(0x100000, 0x200000)), Error);
  CHECK_THROWS_AS(placement.claim(part(0x300000, ~0ULL)), Error);
  placement.claim(part(0x201000, 1));
  placement.claim(part(0x1ff000, 0x1000));
}

TEST_CASE("what does not fit says how much memory it takes, and what never can says so") {
  GuestMemory memory(4 << 20);
  Placement placement(memory);
  const auto message = [&](std::uint64_t start, std::uint64_t size) -> std::string {
    try {
      placement.claim(part(start, size));
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  CHECK(message(0x300000, 0x100001).find("--memory 5M") != std::string::npos);
  CHECK(message(0xbfffffff, 2).find("below 3 GiB") != std::string::npos);
  CHECK(message(kHoleEnd, 1 << 20).find("--memory 3073M") != std::string::npos);
  CHECK(message(~0ULL, 2).find("below 3 GiB") != std::string::npos);
}

TEST_CASE("free places avoid what is claimed, from above and from below") {
  GuestMemory memory(4 << 20);
  Placement placement(memory);
  placement.claim(part(0x3ff800, 0x800));
  placement.claim(part(0x100000, 0x10));
  CHECK(placement.highest_free(0x1000, 0x100000, 0x400000) == 0x3fe000);
  CHECK(placement.lowest_free(0x1000, 0x100000, 0x400000) == 0x101000);
  CHECK_FALSE(placement.highest_free(0x300000, 0x100000, 0x400000).has_value());
  CHECK_FALSE(placement.lowest_free(0x300000, 0x100000, 0x400000).has_value());
  CHECK_FALSE(placement.highest_free(0x1000, 0x400000, 0x500000).has_value());
  CHECK_FALSE(placement.lowest_free(~0ULL, 0x100000, 0x400000).has_value());
}

TEST_CASE("an address is found in the part that holds it") {
  const std::vector<LoadedPart> parts = {part(0x1000, 0x10), part(0x2000, 0x10)};
  CHECK(find_part(parts, 0x200f) == &parts[1]);
  CHECK(find_part(parts, 0x2010) == nullptr);
  CHECK(find_part(parts, 0xfff) == nullptr);
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "vmm/memory/guest_memory.h"

#include <array>

#include <doctest/doctest.h>

#include "vmm/base/error.h"

namespace tintype {

TEST_CASE("memory above the hole starts at 4 GiB and page numbers go on without a gap") {
  GuestMemory memory(kHoleStart + (64 << 20));
  CHECK(memory.regions().size() == 2);
  CHECK(memory.regions()[1].start == Gpa(kHoleEnd));
  CHECK(memory.contains(Gpa(kHoleEnd), 64 << 20));
  CHECK_FALSE(memory.contains(Gpa(kHoleEnd), (64 << 20) + 1));
  CHECK_FALSE(memory.contains(Gpa(kHoleStart), 1));
  CHECK(memory.page_number(Gpa(kHoleEnd)) == kHoleStart / kPageSize);
  CHECK(memory.page_address(kHoleStart / kPageSize) == Gpa(kHoleEnd));
  CHECK_FALSE(memory.page_number(Gpa(kHoleStart)).has_value());
}

TEST_CASE("an access that leaves memory, or wraps around, touches nothing") {
  GuestMemory memory(kMinimumMemory);
  std::array<std::byte, 8> data{};
  CHECK(memory.write(Gpa(kMinimumMemory - 8), data));
  CHECK_FALSE(memory.write(Gpa(kMinimumMemory - 7), data));
  CHECK_FALSE(memory.read(Gpa(~0ULL - 3), data));
  CHECK(memory.view(Gpa(0), ~0ULL).empty());
  CHECK_FALSE(memory.load<std::uint64_t>(Gpa(kMinimumMemory - 4)).has_value());
}

TEST_CASE("every write path marks every page it touches") {
  GuestMemory memory(kMinimumMemory);
  std::array<std::byte, 2> data{};
  REQUIRE(memory.write(Gpa(4095), data));
  CHECK(memory.dirty().test(0));
  CHECK(memory.dirty().test(1));
  CHECK_FALSE(memory.dirty().test(2));
  REQUIRE(memory.store_release<std::uint16_t>(Gpa(3 * 4096), 7));
  CHECK(memory.dirty().test(3));
  memory.mark_dirty(Gpa(5 * 4096 + 1), 4096);
  CHECK(memory.dirty().test(5));
  CHECK(memory.dirty().test(6));
  CHECK_FALSE(memory.dirty().test(7));
}

TEST_CASE("unaligned ring indices are refused instead of being torn") {
  GuestMemory memory(kMinimumMemory);
  CHECK_FALSE(memory.load_acquire<std::uint16_t>(Gpa(1)).has_value());
  CHECK_FALSE(memory.store_release<std::uint16_t>(Gpa(1), 1));
}

TEST_CASE("a senseless memory size is refused") {
  for (const std::uint64_t size : {0ULL, 4096ULL, (1ULL << 20) + 1, 1ULL << 50, ~0ULL}) {
    CHECK_THROWS_AS(GuestMemory{size}, Error);
  }
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/page_walk.h"

#include <doctest/doctest.h>

#include "tests/unit/machine/long_mode.h"

namespace tintype {

TEST_CASE("four levels, a huge page, and a hole in the tables") {
  GuestMemory memory(16 << 20);
  REQUIRE(memory.store<std::uint64_t>(Gpa(0x1000), 0x2003));                 // PML4[0]
  REQUIRE(memory.store<std::uint64_t>(Gpa(0x2000), 0x3003));                 // PDPT[0]
  REQUIRE(memory.store<std::uint64_t>(Gpa(0x3000), 0x4003));                 // PD[0]
  REQUIRE(memory.store<std::uint64_t>(Gpa(0x3008), 0x80'0083));              // PD[1]: 2 MiB at 8 MiB
  REQUIRE(memory.store<std::uint64_t>(Gpa(0x4008), (1ULL << 63) | 0x7003));  // PT[1], no-execute bit set
  const kvm_sregs sregs = long_mode(0x1000);
  CHECK(translate(physical(memory), sregs, 0x1234) == Gpa(0x7234));
  CHECK(translate(physical(memory), sregs, 0x20'5678) == Gpa(0x80'5678));
  CHECK_FALSE(translate(physical(memory), sregs, 0x2000).has_value());
  CHECK_FALSE(translate(physical(memory), sregs, 0x40'0000).has_value());
  CHECK_FALSE(translate(physical(memory), sregs, 0xffff'0000'0000'1234).has_value());  // no address at all
  std::vector<PageWalkStep> steps;
  CHECK(translate(physical(memory), sregs, 0x1234, &steps).has_value());
  REQUIRE(steps.size() == 4);
  CHECK(steps.front().level == 4);
  CHECK(steps.back().level == 1);
}

TEST_CASE("tables that point outside memory end the walk instead of reading there") {
  GuestMemory memory(1 << 20);
  REQUIRE(memory.store<std::uint64_t>(Gpa(0x1000), 0x7fff'ffff'f003));
  CHECK_FALSE(translate(physical(memory), long_mode(0x1000), 0).has_value());
  CHECK_FALSE(translate(physical(memory), long_mode(0xdead'f000), 0).has_value());
}

TEST_CASE("32-bit paging and no paging at all") {
  GuestMemory memory(16 << 20);
  kvm_sregs sregs{};
  CHECK(translate(physical(memory), sregs, 0x1234) == Gpa(0x1234));
  sregs.cr0 = 1ULL << 31 | 1;
  sregs.cr4 = 1 << 4;
  sregs.cr3 = 0x1000;
  REQUIRE(memory.store<std::uint32_t>(Gpa(0x1000), 0x2003));
  REQUIRE(memory.store<std::uint32_t>(Gpa(0x2004), 0x5003));
  REQUIRE(memory.store<std::uint32_t>(Gpa(0x1004), 0x80'0083));
  CHECK(translate(physical(memory), sregs, 0x1010) == Gpa(0x5010));
  CHECK(translate(physical(memory), sregs, 0x40'0004) == Gpa(0x80'0004));
}

TEST_CASE("reading across a page that is not mapped stops there") {
  GuestMemory memory(16 << 20);
  REQUIRE(memory.store<std::uint64_t>(Gpa(0x1000), 0x2003));
  REQUIRE(memory.store<std::uint64_t>(Gpa(0x2000), 0x3003));
  REQUIRE(memory.store<std::uint64_t>(Gpa(0x3000), 0x4003));
  REQUIRE(memory.store<std::uint64_t>(Gpa(0x4000), 0x7003));
  CHECK(read_linear(physical(memory), long_mode(0x1000), 0xff0, 64).size() == 16);
}

}  // namespace tintype

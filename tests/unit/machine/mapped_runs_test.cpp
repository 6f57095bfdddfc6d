// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/mapped_runs.h"

#include <doctest/doctest.h>

#include "tests/unit/machine/long_mode.h"

namespace tintype {

namespace {

void store(GuestMemory& memory, std::uint64_t at, std::uint64_t entry) { REQUIRE(memory.store(Gpa(at), entry)); }

}  // namespace

TEST_CASE("what lies one after the other is one run, across tables and page sizes") {
  GuestMemory memory(16 << 20);
  store(memory, 0x1000, 0x2003);                                                       // PML4[0]
  store(memory, 0x1ff8, 0x5003);                                                       // PML4[511]
  store(memory, 0x2000, 0x3003);                                                       // PDPT[0]
  for (std::uint64_t i = 0; i < 512; ++i) store(memory, 0x4000 + 8 * i, i << 12 | 3);  // PT: 0 to 2 MiB
  store(memory, 0x3000, 0x4003), store(memory, 0x3008, 2 << 20 | 0x83);                // PD: that, and 2 MiB
  store(memory, 0x3018, 0x80'0083);                                                    // PD[3], after a hole
  store(memory, 0x5ff0, 0x6003), store(memory, 0x6000, (1ULL << 63) | 0x40'0083);      // the kernel's
  const auto found = mapped_runs(physical(memory), long_mode(0x1000));
  CHECK(found.whole);
  CHECK(found.runs == std::vector<MappedRun>{
                          {0, 0, 4 << 20}, {6 << 20, 8 << 20, 2 << 20}, {0xffff'ffff'8000'0000, 4 << 20, 2 << 20}});
  for (const MappedRun& run : found.runs) {
    for (const std::uint64_t offset : {std::uint64_t{0}, run.bytes - 1})
      CHECK(translate(physical(memory), long_mode(0x1000), run.linear + offset) == Gpa(run.physical + offset));
  }
}

TEST_CASE("tables that refer to themselves come to an end") {
  GuestMemory memory(1 << 20);
  for (std::uint64_t i = 0; i < 512; ++i) store(memory, 0x1000 + 8 * i, 0x1003);
  CHECK_FALSE(mapped_runs(physical(memory), long_mode(0x1000), {1000, 100}).whole);
  CHECK_FALSE(mapped_runs(physical(memory), long_mode(0x1000), {1'000'000, 100}).whole);
}

TEST_CASE("tables outside memory map nothing, and other modes have none") {
  GuestMemory memory(1 << 20);
  store(memory, 0x1000, 0x7fff'ffff'f003);
  CHECK(mapped_runs(physical(memory), long_mode(0x1000)).runs.empty());
  CHECK(mapped_runs(physical(memory), long_mode(0xdead'f000)).runs.empty());
  CHECK(mapped_runs(physical(memory), kvm_sregs{}).runs.empty());
}

}  // namespace tintype

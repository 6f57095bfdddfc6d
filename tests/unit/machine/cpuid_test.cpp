// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/cpuid.h"

#include <algorithm>

#include <doctest/doctest.h>

namespace tintype {

namespace {

kvm_cpuid_entry2 leaf(std::uint32_t function, std::uint32_t index = 0) {
  kvm_cpuid_entry2 entry{};
  entry.function = function;
  entry.index = index;
  return entry;
}

const std::vector<kvm_cpuid_entry2>& host() {
  static const std::vector<kvm_cpuid_entry2> leaves = {leaf(1), leaf(0xb, 0), leaf(0x40000000), leaf(0x80000008),
                                                       leaf(0x8000001e)};
  return leaves;
}

kvm_cpuid_entry2 shown(unsigned cpu, unsigned cpus, std::uint32_t function, std::uint32_t index = 0) {
  const auto leaves = guest_cpuid(host(), cpu, cpus, 2'000'000, true);
  const auto found = std::find_if(leaves.begin(), leaves.end(),
                                  [&](const auto& e) { return e.function == function && e.index == index; });
  REQUIRE(found != leaves.end());
  return *found;
}

}  // namespace

TEST_CASE("every CPU has an APIC ID of its own, the same in each leaf that tells it") {
  for (unsigned cpu = 0; cpu < 6; ++cpu) {
    CHECK((shown(cpu, 6, 1).ebx >> 24) == cpu);
    CHECK(shown(cpu, 6, 0xb, 0).edx == cpu);
    CHECK(shown(cpu, 6, 0xb, 1).edx == cpu);
    CHECK(shown(cpu, 6, 0x8000001e).eax == cpu);
  }
}

TEST_CASE("the topology is one socket of N cores, with room for the APIC IDs") {
  CHECK((shown(0, 6, 1).ebx >> 16 & 0xff) == 6);
  CHECK(shown(0, 6, 0xb, 1).ebx == 6);
  CHECK(shown(0, 6, 0xb, 1).eax == 3);
  CHECK((shown(0, 6, 0xb, 1).ecx >> 8 & 0xff) == 2);
  CHECK((shown(0, 6, 0x80000008).ecx & 0xff) == 5);
  CHECK(shown(0, 6, 0xb, 2).ecx == 2);  // the list of levels ends
}

TEST_CASE("one CPU alone claims no siblings") {
  CHECK((shown(0, 1, 1).edx >> 28 & 1) == 0);
  CHECK((shown(0, 4, 1).edx >> 28 & 1) == 1);
}

TEST_CASE("the guest sees that it is one, can use x2APIC and the deadline timer, and knows its TSC's speed") {
  CHECK((shown(0, 1, 1).ecx >> 31 & 1) == 1);
  CHECK((shown(0, 1, 1).ecx >> 21 & 1) == 1);
  CHECK((shown(0, 1, 1).ecx >> 24 & 1) == 1);
  CHECK(shown(0, 1, 0x40000010).eax == 2'000'000);
  CHECK(shown(0, 1, 0x40000000).eax >= 0x40000010);
}

}  // namespace tintype

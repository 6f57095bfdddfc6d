// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/cpuid.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "vmm/machine/hidden_features.h"

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

TEST_CASE("a guest is not shown what could not be kept, whatever KVM supports") {
  kvm_cpuid_entry2 all = leaf(0);
  all.eax = all.ebx = all.ecx = all.edx = 0xffffffff;
  std::vector<kvm_cpuid_entry2> supported;
  for (const HiddenFeature& hidden : hidden_features()) {
    for (const std::uint32_t index : {0U, 1U}) {
      supported.push_back(all);
      supported.back().function = hidden.leaf;
      supported.back().index = index;
    }
  }
  const auto leaves = guest_cpuid(supported, 0, 2, 2'000'000, true);
  const auto shows = [&](std::uint32_t function, std::uint32_t index, std::uint32_t kvm_cpuid_entry2::*where,
                         unsigned bit) {
    return std::any_of(leaves.begin(), leaves.end(), [&](const auto& e) {
      return e.function == function && e.index == index && (e.*where >> bit & 1) != 0;
    });
  };
  using Entry = kvm_cpuid_entry2;
  CHECK_FALSE(shows(0x1, 0, &Entry::ecx, 5));                                                     // VMX
  CHECK_FALSE(shows(0x80000001, 0, &Entry::ecx, 2));                                              // SVM
  CHECK_FALSE(shows(0x8000000a, 0, &Entry::edx, 0));                                              // nested paging
  CHECK_FALSE(shows(0x7, 0, &Entry::ebx, 2));                                                     // SGX
  CHECK_FALSE(shows(0x12, 1, &Entry::eax, 0));                                                    // SGX's second leaf
  CHECK_FALSE(shows(0x7, 0, &Entry::ecx, 7));                                                     // shadow stacks
  CHECK_FALSE(shows(0x8000001f, 0, &Entry::eax, 1));                                              // SEV
  for (const unsigned bit : {4U, 10U, 14U}) CHECK_FALSE(shows(0x40000001, 0, &Entry::eax, bit));  // async page faults
  for (const unsigned bit : {15U, 16U, 17U}) CHECK_FALSE(shows(0x40000001, 0, &Entry::eax, bit));

  // What KVM does by itself and what is saved with the MSRs stays: clock, steal time, EOI, and calls of the kernel.
  for (const unsigned bit : {0U, 1U, 3U, 5U, 6U, 7U, 9U, 11U, 12U, 13U, 24U}) {
    CHECK(shows(0x40000001, 0, &Entry::eax, bit));
  }
  CHECK(shows(0x7, 1, &Entry::ecx, 7));  // the same bit of another subleaf
}

TEST_CASE("each row of the table of hidden features says why") {
  for (const HiddenFeature& hidden : hidden_features()) {
    CAPTURE(hidden.name);
    CHECK(hidden.bits != 0);
    CHECK_FALSE(hidden.name.empty());
    CHECK_FALSE(hidden.reason.empty());
  }
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/cpu_features.h"

#include <doctest/doctest.h>

namespace tintype {

namespace {

kvm_cpuid_entry2 leaf(std::uint32_t function, std::uint32_t index, std::uint32_t ebx, std::uint32_t ecx) {
  kvm_cpuid_entry2 entry{};
  entry.function = function;
  entry.index = index;
  entry.ebx = ebx;
  entry.ecx = ecx;
  return entry;
}

}  // namespace

TEST_CASE("a guest that saw a feature which this host lacks is told which") {
  const std::vector wanted = {leaf(7, 0, 1U << 5 | 1U << 30, 0)};
  const std::vector offered = {leaf(7, 0, 1U << 30, 0)};
  CHECK(missing_cpu_features(wanted, offered) == std::vector<std::string>{"avx2"});
  CHECK(missing_cpu_features(offered, wanted).empty());
}

TEST_CASE("bits that mirror the guest's own doing are no features") {
  const std::vector wanted = {leaf(1, 0, 0, 1U << 27 | 1U << 31)};  // OSXSAVE, hypervisor
  CHECK(missing_cpu_features(wanted, {}).empty());
}

TEST_CASE("a leaf that is listed twice counts with all it has") {
  const std::vector wanted = {leaf(1, 0, 0, 3)};
  const std::vector offered = {leaf(1, 0, 0, 1), leaf(1, 0, 0, 2)};
  CHECK(missing_cpu_features(wanted, offered).empty());
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
// Memory as it was at one instant, read out of a child.
#include "checkpoint/capture/still_life.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

#include "vmm/base/mapping.h"
#include "vmm/memory/gpa.h"

using namespace tintype;

namespace {

constexpr std::uint64_t kPages = 256;

/// How many of its pages nobody else has mapped (Documentation/admin-guide/mm/pagemap.rst, bit 56).
std::uint64_t pages_of_its_own(std::span<const std::byte> memory) {
  constexpr std::uint64_t kExclusive = std::uint64_t{1} << 56;
  const UniqueFd pagemap(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  std::vector<std::uint64_t> entries(memory.size() / kPageSize);
  const auto size = static_cast<ssize_t>(entries.size() * sizeof(std::uint64_t));
  const auto at = static_cast<off_t>(reinterpret_cast<std::uintptr_t>(memory.data()) / kPageSize * sizeof entries[0]);
  REQUIRE(::pread(pagemap.get(), entries.data(), static_cast<std::size_t>(size), at) == size);
  return static_cast<std::uint64_t>(
      std::ranges::count_if(entries, [](auto entry) { return (entry & kExclusive) != 0; }));
}

}  // namespace

TEST_CASE("what was there at the instant is read, whatever is written afterwards") {
  const Mapping memory = Mapping::anonymous(kPages * kPageSize);
  std::ranges::fill(memory.bytes(), std::byte{1});
  StillLife still;
  std::ranges::fill(memory.bytes().first(kPageSize), std::byte{2});
  std::vector<std::byte> read(memory.size());
  still.read(memory.bytes(), read.data());
  CHECK(std::ranges::all_of(read, [](std::byte byte) { return byte == std::byte{1}; }));
}

TEST_CASE("reading makes no second copy of what was not written") {
  const Mapping memory = Mapping::anonymous(kPages * kPageSize);
  std::ranges::fill(memory.bytes(), std::byte{1});
  CHECK(pages_of_its_own(memory.bytes()) == kPages);
  StillLife still;
  CHECK(pages_of_its_own(memory.bytes()) == 0);
  std::vector<std::byte> read(memory.size());
  still.read(memory.bytes(), read.data());
  CHECK(pages_of_its_own(memory.bytes()) == 0);
  std::ranges::fill(memory.bytes().first(kPageSize), std::byte{2});
  CHECK(pages_of_its_own(memory.bytes()) == 1);
}

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <random>

#include <doctest/doctest.h>

#include "tests/support/rounds.h"
#include "tests/unit/boot/test_images.h"

namespace tintype {

using namespace test;

namespace {

constexpr std::uint64_t kMemory = 8 << 20;

/// Rounds for each kind; TINTYPE_MUTATIONS=1000000 makes an evening of it.
unsigned mutations() { return rounds_of("TINTYPE_MUTATIONS", 600); }

std::vector<Bytes> seeds() {
  TestElf both;
  both.notes = pvh_note(0x100010);
  both.multiboot = true;
  TestElf plain;
  plain.multiboot = true;
  TestElf linux_elf;
  linux_elf.entry = 0x200000;
  linux_elf.segments = {
      {.physical = 0x200000, .content = Bytes(64), .memory_size = 0x2000, .virtual_offset = linux_boot::kKernelMap}};
  multiboot::Header header{};
  header.flags = multiboot::kHasAddresses;
  header.header_address = header.load_address = 0x100000;
  header.load_end = 0x100100;
  header.bss_end = 0x100800;
  header.entry = 0x100020;
  Bytes addresses = multiboot_header(header);
  addresses.resize(0x100);
  return {elf32(both), elf64(both), elf32(plain), elf64(linux_elf), addresses, bzimage()};
}

std::uint64_t interesting(std::mt19937_64& random) {
  constexpr std::array<std::uint64_t, 12> kNumbers = {
      0, 1, 0x7f, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, 0xbffff000, 0xfffff000, 0xa0000, 0x100000, ~0ULL};
  return random() % 4 == 0 ? random() : kNumbers[random() % kNumbers.size()] + random() % 3 - 1;
}

/// Damages one to four fields of 1, 2, 4 or 8 bytes, mostly in the headers; sometimes cuts the file.
Bytes mutate(Bytes file, std::mt19937_64& random) {
  for (auto count = 1 + random() % 4; count > 0; --count) {
    const std::size_t reach = random() % 4 == 0 ? file.size() : std::min<std::size_t>(file.size(), 0x280);
    const std::size_t size = std::size_t{1} << random() % 4;
    const std::uint64_t value = interesting(random);
    const std::size_t at = random() % reach / size * size;
    if (at + size <= file.size()) std::memcpy(&file[at], &value, size);
  }
  if (random() % 16 == 0) file.resize(random() % file.size());
  return file;
}

/// Every byte that is not zero lies in a part that the plan names, or among the real-mode vectors and their handlers.
bool all_accounted_for(const TestBoot& boot) {
  const auto all = boot.memory.view(Gpa(0), kMemory);
  for (std::uint64_t address = kRealModeArea.end(); address < kMemory; ++address) {
    if (all[address] == std::byte{0} || (address >= kBiosArea.start && address < kBiosArea.end())) continue;
    const LoadedPart* part = find_part(boot.plan.parts, address);
    if (part == nullptr) return false;
  }
  return true;
}

bool parts_lie_in_memory(const TestBoot& boot) {
  return std::ranges::all_of(boot.plan.parts,
                             [&](const LoadedPart& part) { return boot.memory.contains(Gpa(part.start), part.size); });
}

}  // namespace

TEST_CASE("damaged kernels of every kind load within bounds or are refused in a sentence") {
  std::mt19937_64 random(20240607);
  unsigned loaded = 0, refused = 0;
  for (const Bytes& seed : seeds()) {
    REQUIRE(TestBoot(kMemory).refusal(seed).empty());
    for (unsigned round = 0; round < mutations(); ++round) {
      TestBoot boot(kMemory);
      if (round % 3 == 0) boot.give_initrd(Bytes(100, 0x55));
      const std::string message = boot.refusal(mutate(seed, random));
      message.empty() ? ++loaded : ++refused;
      if (!message.empty()) continue;
      REQUIRE(parts_lie_in_memory(boot));
      if (round % 16 == 0) REQUIRE(all_accounted_for(boot));
    }
  }
  CHECK(loaded > 0);
  CHECK(refused > loaded / 10);
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "vmm/machine/breakpoints.h"

using namespace tintype;

namespace {

using Place = DebugRegisters::Place;

// DR7 (Intel SDM volume 3, 18.2.4): bit 10 is always 1, bit 9 asks for exact watching.
constexpr std::uint64_t kNothingWatched = 0x600;

}  // namespace

TEST_CASE("with nothing to watch all is 0 but for what DR7 always has") {
  const DebugRegisters none;
  CHECK(none.empty());
  CHECK(none.left() == 4);
  CHECK(none.values() == std::array<std::uint64_t, 8>{0, 0, 0, 0, 0, 0, 0, kNothingWatched});
  CHECK_FALSE(none.hit(0xf));
}

TEST_CASE("each register has its address, its enabling bit, what it watches and how many bytes") {
  DebugRegisters registers;
  REQUIRE(registers.add({BreakKind::kHardware, 0x1001, 1}));
  REQUIRE(registers.add({BreakKind::kWrite, 0x2000, 2}));
  REQUIRE(registers.add({BreakKind::kAccess, 0x3000, 4}));
  REQUIRE(registers.add({BreakKind::kWrite, 0x4000, 8}));
  const auto values = registers.values();
  CHECK(values[0] == 0x1001);
  CHECK(values[1] == 0x2000);
  CHECK(values[2] == 0x3000);
  CHECK(values[3] == 0x4000);
  // Globally enabled: bits 1, 3, 5, 7. From bit 16 on four bits each: what (0 executed, 1 written, 3 touched), and
  // above it the length (0 one byte, 1 two, 3 four, 2 eight).
  CHECK(values[7] == (kNothingWatched | 0xaa | 0x9'f'5'0ULL << 16));
}

TEST_CASE("what is there no register for is refused: a fifth, odd lengths, and what is not aligned") {
  DebugRegisters registers;
  CHECK_FALSE(registers.add({BreakKind::kWrite, 0x1000, 0}));
  CHECK_FALSE(registers.add({BreakKind::kWrite, 0x1000, 3}));
  CHECK_FALSE(registers.add({BreakKind::kWrite, 0x1000, 16}));
  CHECK_FALSE(registers.add({BreakKind::kWrite, 0x1002, 4}));
  CHECK_FALSE(registers.add({BreakKind::kHardware, 0x1000, 2}));
  for (std::uint64_t i = 0; i < 4; ++i) CHECK(registers.add({BreakKind::kHardware, i, 1}));
  CHECK(registers.left() == 0);
  CHECK_FALSE(registers.add({BreakKind::kHardware, 4, 1}));
}

TEST_CASE("DR6 tells which of them was met, and nothing of others") {
  DebugRegisters registers;
  const Place first{BreakKind::kHardware, 0x1000, 1}, second{BreakKind::kWrite, 0x2000, 8};
  REQUIRE(registers.add(first));
  REQUIRE(registers.add(second));
  CHECK(registers.hit(0xffff0ff1) == first);
  CHECK(registers.hit(0xffff0ff2) == second);
  CHECK_FALSE(registers.hit(0xffff0ff4));  // of a register that is not in use
  CHECK_FALSE(registers.hit(1ULL << 14));  // a step
  registers.remove(first);
  CHECK(registers.hit(0xffff0ff1) == second);
  CHECK(registers.values()[0] == 0x2000);
}

TEST_CASE("more places to be executed at take what is left, and no more") {
  DebugRegisters registers;
  for (const std::uint64_t address : {0x1000, 0x2000, 0x3000}) REQUIRE(registers.add({BreakKind::kWrite, address, 1}));
  const std::uint64_t doors[] = {0xd000, 0xe000};
  const auto values = registers.values(doors);
  CHECK(values[2] == 0x3000);
  CHECK(values[3] == 0xd000);
  CHECK(values[7] == (kNothingWatched | 0xaa | 0x0'1'1'1ULL << 16));
  CHECK_FALSE(registers.hit(8));  // the door is nobody's breakpoint
}

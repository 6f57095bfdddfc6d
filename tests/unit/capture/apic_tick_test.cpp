// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/apic_tick.h"

#include <cstring>

#include <doctest/doctest.h>

namespace tintype {

namespace {

using std::chrono::nanoseconds;

constexpr std::uint32_t kVector = 0x45, kPeriodic = 1U << 17, kDeadline = 2U << 17, kMasked = 1U << 16;
constexpr std::uint32_t kByTwo = 0, kByOne = 0xb;
constexpr std::uint32_t kPeriod = 10'000'000;

void set_word(kvm_lapic_state& lapic, std::size_t at, std::uint32_t value) {
  std::memcpy(lapic.regs + at, &value, sizeof value);
}

std::uint32_t word(const kvm_lapic_state& lapic, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, lapic.regs + at, sizeof value);
  return value;
}

/// `left` nanoseconds before the next tick, `after` nanoseconds after some beginning.
ApicLook look(std::uint32_t left, std::int64_t after, std::uint32_t divide = kByOne) {
  const std::uint32_t by = divide == kByTwo ? 2 : 1;
  ApicLook look;
  set_word(look.lapic, 0x320, kPeriodic | kVector);
  set_word(look.lapic, 0x380, kPeriod / by);
  set_word(look.lapic, 0x390, left / by);
  set_word(look.lapic, 0x3e0, divide);
  look.when += nanoseconds(after);
  return look;
}

/// Whether the copy `now` holds a tick that `parked` does not.
bool holds_tick(const ApicLook& parked, ApicLook now) {
  hold_tick_since(parked, now);
  return (word(now.lapic, 0x200 + kVector / 32 * 0x10) >> kVector % 32 & 1) != 0;
}

}  // namespace

TEST_CASE("a tick between the parking and the reading is held by the copy, and no other is") {
  for (const std::uint32_t divide : {kByOne, kByTwo}) {
    CAPTURE(divide);
    const ApicLook parked = look(3'000'000, 0, divide);
    CHECK_FALSE(holds_tick(parked, look(2'999'000, 1'000, divide)));
    CHECK_FALSE(holds_tick(parked, look(1'000, 2'999'000, divide)));
    CHECK(holds_tick(parked, look(9'999'000, 3'001'000, divide)));
    CHECK(holds_tick(parked, look(4'000'000, 9'000'000, divide)));
    CHECK(holds_tick(parked, look(2'000'000, 11'000'000, divide)));  // a whole period later, and one tick
    CHECK(holds_tick(parked, look(3'000'000, 3'600'000'000'000, divide)));
  }
}

TEST_CASE("a clock that is read late or early makes no tick and loses none") {
  const ApicLook parked = look(3'000'000, 0);
  for (const std::int64_t error : {-4'000'000, -1'000'000, 1'000'000, 4'000'000}) {
    CAPTURE(error);
    CHECK_FALSE(holds_tick(parked, look(1'000'000, 2'000'000 + error)));
    CHECK(holds_tick(parked, look(9'000'000, 4'000'000 + error)));
  }
}

TEST_CASE("a tick that is due is not put off by a period") {
  ApicLook now = look(0, 3'000'100);
  hold_tick_since(look(3'000'000, 0), now);
  CHECK(word(now.lapic, 0x390) == 1);
  CHECK_FALSE(holds_tick(look(3'000'000, 0), look(0, 3'000'100)));   // it comes by itself, once
  CHECK_FALSE(holds_tick(look(3'000'000, 0), look(0, 12'000'000)));  // KVM is late, but by less than a period
  CHECK(holds_tick(look(3'000'000, 0), look(0, 14'000'000)));        // there was one before it
}

TEST_CASE("other interrupts that wait stay as they are") {
  ApicLook now = look(9'000'000, 4'000'000);
  set_word(now.lapic, 0x220, 1U << 1);
  hold_tick_since(look(3'000'000, 0), now);
  CHECK(word(now.lapic, 0x220) == (1U << 1 | 1U << kVector % 32));
  CHECK(word(now.lapic, 0x210) == 0);
}

TEST_CASE("only a periodic timer that delivers is looked at") {
  kvm_lapic_state lapic = look(1, 0).lapic;
  CHECK(ticks_periodically(lapic));
  set_word(lapic, 0x380, 0);
  CHECK_FALSE(ticks_periodically(lapic));
  lapic = look(1, 0).lapic;
  for (const std::uint32_t timer : {kVector, kDeadline | kVector, kPeriodic | kMasked | kVector}) {
    set_word(lapic, 0x320, timer);
    CHECK_FALSE(ticks_periodically(lapic));
  }
}

TEST_CASE("time alone changes nothing that counts") {
  const ApicLook before = look(3'000'000, 0);
  ApicLook after = look(2'000'000, 1'000'000);
  CHECK(same_but_for_time(before.lapic, after.lapic));
  set_word(after.lapic, 0x220, 1);
  CHECK_FALSE(same_but_for_time(before.lapic, after.lapic));
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/apic_tick.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace tintype {

namespace {

// Registers of the local APIC (Intel SDM volume 3, 11.4.1), each the first word of 16 bytes.
constexpr std::size_t kPending = 0x200;  // IRR: 256 bits in eight registers
constexpr std::size_t kTimer = 0x320, kInitialCount = 0x380, kCurrentCount = 0x390, kDivide = 0x3e0;
constexpr std::uint32_t kVectorMask = 0xff, kMasked = 1U << 16, kModeMask = 3U << 17, kPeriodic = 1U << 17;
// KVM's timer counts nanoseconds, and by default no period is shorter than this (min_timer_period_us).
constexpr double kShortestPeriod = 200'000;

std::uint32_t word(const kvm_lapic_state& lapic, std::size_t at) noexcept {
  std::uint32_t value = 0;
  std::memcpy(&value, lapic.regs + at, sizeof value);
  return value;
}

void set_word(kvm_lapic_state& lapic, std::size_t at, std::uint32_t value) noexcept {
  std::memcpy(lapic.regs + at, &value, sizeof value);
}

/// The divide configuration's bits 0, 1 and 3 are 0 for 2, 1 for 4, ... 6 for 128, and 7 for 1.
double divisor(const kvm_lapic_state& lapic) noexcept {
  const std::uint32_t bits = word(lapic, kDivide);
  const std::uint32_t power = ((bits & 3) | (bits >> 1 & 4)) + 1;
  return 1U << (power & 7);
}

double nanoseconds(const kvm_lapic_state& lapic, std::size_t count) noexcept {
  return word(lapic, count) * divisor(lapic);
}

void set_pending(kvm_lapic_state& lapic, std::uint32_t vector) noexcept {
  const std::size_t at = kPending + vector / 32 * 16;
  set_word(lapic, at, word(lapic, at) | 1U << vector % 32);
}

}  // namespace

bool ticks_periodically(const kvm_lapic_state& lapic) noexcept {
  return (word(lapic, kTimer) & (kModeMask | kMasked)) == kPeriodic && word(lapic, kInitialCount) != 0;
}

bool same_but_for_time(const kvm_lapic_state& a, const kvm_lapic_state& b) noexcept {
  kvm_lapic_state other = b;
  set_word(other, kCurrentCount, word(a, kCurrentCount));
  return std::equal(std::begin(a.regs), std::end(a.regs), std::begin(other.regs));
}

// What is left of the period shrinks as time passes, and grows by a period with each tick. So the number of ticks is
// known exactly, if only the time that passed is known to half a period.
void hold_tick_since(const ApicLook& parked, ApicLook& now) noexcept {
  const double period = std::max(nanoseconds(now.lapic, kInitialCount), kShortestPeriod);
  const double passed = std::chrono::duration<double, std::nano>(now.when - parked.when).count();
  const double grown = nanoseconds(now.lapic, kCurrentCount) - nanoseconds(parked.lapic, kCurrentCount);
  double ticks = (passed + grown) / period;
  if (word(now.lapic, kCurrentCount) == 0) {
    // The time is up, for less than a period, and KVM has not seen it yet. A count of 0 would start a whole period.
    set_word(now.lapic, kCurrentCount, 1);
    ticks = std::floor(ticks);
  }
  if (std::round(ticks) >= 1) set_pending(now.lapic, word(now.lapic, kTimer) & kVectorMask);
}

}  // namespace tintype

// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/timer.h"

#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/interrupts.h"
#include "guest-images/runtime/options.h"

namespace tintype::guest {
namespace {

// Intel 8254, channel 0.
constexpr std::uint64_t kPitHz = 1193182;
constexpr std::uint16_t kPitData = 0x40;
constexpr std::uint16_t kPitCommand = 0x43;
constexpr std::uint8_t kRateGenerator = 0x34;
constexpr std::uint8_t kLatch = 0x00;

// A PC leads the PIT to pin 2 of the I/O APIC; a machine without a word on it in its ACPI tables
// may lead it to pin 0. Never to both.
constexpr std::uint32_t kPitPins[] = {0, 2};

// The local APIC's timer.
constexpr std::uint64_t kLapicTimer = LAPIC_BASE + 0x320;
constexpr std::uint64_t kLapicInitialCount = LAPIC_BASE + 0x380;
constexpr std::uint64_t kLapicCurrentCount = LAPIC_BASE + 0x390;
constexpr std::uint64_t kLapicDivide = LAPIC_BASE + 0x3e0;
constexpr std::uint32_t kDivideBy1 = 0xb;
constexpr std::uint32_t kMasked = 0x10000;
constexpr std::uint32_t kPeriodic = 0x20000;

void load_pit(std::uint32_t divisor) {
  out8(kPitCommand, kRateGenerator);
  out8(kPitData, static_cast<std::uint8_t>(divisor));
  out8(kPitData, static_cast<std::uint8_t>(divisor >> 8));
}

std::uint16_t read_pit() {
  out8(kPitCommand, kLatch);
  const std::uint8_t low = in8(kPitData);
  return static_cast<std::uint16_t>(in8(kPitData) << 8 | low);
}

std::uint64_t measure_tsc_khz() {
  constexpr std::uint16_t kEnough = kPitHz / 50;
  load_pit(0x10000);
  const std::uint16_t start = read_pit();
  const std::uint64_t start_tsc = read_tsc();
  for (;;) {
    const auto passed = static_cast<std::uint16_t>(start - read_pit());
    const std::uint64_t tsc = read_tsc();
    if (passed >= kEnough) return (tsc - start_tsc) * kPitHz / passed / 1000;
  }
}

}  // namespace

Clock Clock::calibrated() {
  const std::uint64_t given = number_option("tsc_khz", 0);
  return Clock(given != 0 ? given : measure_tsc_khz());
}

void start_pit(std::uint32_t hz) {
  for (const std::uint32_t pin : kPitPins) enable_interrupt(pin);
  load_pit(static_cast<std::uint32_t>(kPitHz / hz));
}

void start_lapic_timer(const Clock& clock, std::uint32_t hz) {
  mmio_write32(kLapicDivide, kDivideBy1);
  mmio_write32(kLapicTimer, kMasked | VECTOR_LAPIC_TIMER);
  mmio_write32(kLapicInitialCount, 0xffffffff);
  const std::uint64_t start = read_tsc();
  while (read_tsc() - start < clock.cycles(10000)) cpu_relax();
  const std::uint64_t in_10_ms = 0xffffffff - mmio_read32(kLapicCurrentCount);
  mmio_write32(kLapicTimer, kPeriodic | VECTOR_LAPIC_TIMER);
  mmio_write32(kLapicInitialCount, static_cast<std::uint32_t>(in_10_ms * 100 / hz));
}

void start_timer(Timer timer, const Clock& clock, std::uint32_t hz) {
  if (timer == Timer::kPit) return start_pit(hz);
  start_lapic_timer(clock, hz);
}

std::uint64_t timer_ticks(Timer timer) {
  if (timer == Timer::kLocalApic) return interrupts_taken(0, VECTOR_LAPIC_TIMER);
  std::uint64_t ticks = 0;
  for (const std::uint32_t pin : kPitPins) ticks += interrupts_taken(0, vector_of_pin(pin));
  return ticks;
}

}  // namespace tintype::guest

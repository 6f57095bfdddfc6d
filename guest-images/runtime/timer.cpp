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

// A counter, and the TSC at the moment when it was read.
struct Sample {
  std::uint64_t count;
  std::uint64_t tsc;
};

// A machine that shares its processor may stand still between two instructions, so of a few attempts the
// quickest counts.
template <typename Read>
Sample sample(Read read) {
  Sample best{};
  std::uint64_t shortest = ~std::uint64_t{0};
  for (int attempt = 0; attempt != 5; ++attempt) {
    const std::uint64_t before = read_tsc();
    const std::uint64_t count = read();
    const std::uint64_t duration = read_tsc() - before;
    if (duration >= shortest) continue;
    shortest = duration;
    best = Sample{count, before + duration / 2};
  }
  return best;
}

// Over about 10 ms. If the machine stands still meanwhile until the PIT's 16 bits have wrapped, the result is
// too high.
std::uint64_t measure_tsc_khz_once() {
  constexpr std::uint16_t kEnough = kPitHz / 100;
  load_pit(0x10000);
  const Sample start = sample(read_pit);
  for (;;) {
    const Sample now = sample(read_pit);
    const auto passed = static_cast<std::uint16_t>(start.count - now.count);
    if (passed >= kEnough) return (now.tsc - start.tsc) * kPitHz / passed / 1000;
  }
}

// Never too low: so the lowest is right, once three agree on it. On a busy host that takes more than three.
std::uint64_t measure_tsc_khz() {
  std::uint64_t lowest = ~std::uint64_t{0};
  int agree = 0;
  for (int attempt = 0; attempt != 30 && agree != 3; ++attempt) {
    const std::uint64_t khz = measure_tsc_khz_once();
    const std::uint64_t tolerance = khz / 256;
    agree = khz + tolerance < lowest ? 1 : agree + (khz <= lowest + tolerance ? 1 : 0);
    if (khz < lowest) lowest = khz;
  }
  return lowest;
}

}  // namespace

Clock Clock::calibrated() {
  const std::uint64_t given = number_option("tsc_khz", 0);
  return Clock(given != 0 ? given : measure_tsc_khz());
}

Rates rates_of(Timer timer) { return {timer == Timer::kPit ? 19U : 1U, 10000}; }

void start_pit(std::uint32_t hz) {
  for (const std::uint32_t pin : kPitPins) enable_interrupt(pin);
  load_pit(static_cast<std::uint32_t>(kPitHz / hz));
}

void start_lapic_timer(const Clock& clock, std::uint32_t hz) {
  mmio_write32(kLapicDivide, kDivideBy1);
  mmio_write32(kLapicTimer, kMasked | VECTOR_LAPIC_TIMER);
  mmio_write32(kLapicInitialCount, 0xffffffff);
  const auto read_count = [] { return mmio_read32(kLapicCurrentCount); };
  const Sample start = sample(read_count);
  while (read_tsc() - start.tsc < clock.cycles(10000)) cpu_relax();
  const Sample end = sample(read_count);
  const std::uint64_t hz_of_counter = (start.count - end.count) * clock.khz() / (end.tsc - start.tsc) * 1000;
  mmio_write32(kLapicTimer, kPeriodic | VECTOR_LAPIC_TIMER);
  mmio_write32(kLapicInitialCount, static_cast<std::uint32_t>(hz_of_counter / hz));
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

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

// Time: the TSC as a clock, and timers that interrupt.
namespace tintype::guest {

// Turns TSC cycles into time.
class Clock {
 public:
  // The frequency is `tsc_khz=` from the command line, or is measured against the PIT, which
  // takes 30 ms, or longer where the host is busy. A measurement uses the PIT's channel 0: do it before that is
  // started.
  static Clock calibrated();

  std::uint64_t khz() const { return khz_; }
  std::uint64_t microseconds(std::uint64_t cycles) const { return cycles * 1000 / khz_; }
  std::uint64_t cycles(std::uint64_t microseconds) const { return microseconds * khz_ / 1000; }

 private:
  explicit Clock(std::uint64_t khz) : khz_(khz) {}

  std::uint64_t khz_;
};

// The timers of a PC that tick by themselves once started.
enum class Timer : std::uint8_t { kPit, kLocalApic };

// How often a second they can tick. The PIT divides its 1193182 Hz by a number of 16 bits: never slower than 19.
struct Rates {
  std::uint64_t lowest, highest;
  bool has(std::uint64_t hz) const { return hz >= lowest && hz <= highest; }
};
Rates rates_of(Timer timer);

// Makes the PIT interrupt the first CPU `hz` times a second, which it can.
void start_pit(std::uint32_t hz);

// Makes this CPU's local APIC interrupt it `hz` times a second.
void start_lapic_timer(const Clock& clock, std::uint32_t hz);

void start_timer(Timer timer, const Clock& clock, std::uint32_t hz);

// How often it interrupted the first CPU, since the machine started.
std::uint64_t timer_ticks(Timer timer);

}  // namespace tintype::guest

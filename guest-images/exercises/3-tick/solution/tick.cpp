// SPDX-License-Identifier: Apache-2.0
// Exercise 3: a kernel that sleeps between two ticks of its timer. README.md beside it says what to do.
#include "guest-images/runtime/console.h"
#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/interrupts.h"
#include "guest-images/runtime/runtime.h"
#include "guest-images/runtime/timer.h"

namespace tintype::guest {
namespace {

constexpr std::uint32_t kTicksPerSecond = 100;
std::uint64_t naps = 0;  // how often the CPU was halted

// Returns when the timer has ticked `wanted` times. The CPU sleeps meanwhile, and never while the tick that it waits
// for is there already.
void wait_for_tick(std::uint64_t wanted) {
  for (;;) {
    const std::uint64_t seen = interrupts_taken(0);  // before looking: what comes after this ends the sleep
    if (timer_ticks(Timer::kPit) >= wanted) return;
    wait_for_interrupt(0, seen);
    ++naps;
  }
}

}  // namespace

std::uint8_t kernel_main() {
  start_pit(kTicksPerSecond);
  for (std::uint64_t tick = 1; tick <= 5; ++tick) {
    wait_for_tick(tick * 10);
    print("tick ", tick * 10, "\n");
  }
  if (timer_ticks(Timer::kPit) < 50) print("but the timer has not ticked 50 times\n");
  if (naps == 0) print("but the CPU never slept\n");
  if (naps > 100) print("but the CPU was woken more often than anybody wanted\n");
  return 0;
}

}  // namespace tintype::guest

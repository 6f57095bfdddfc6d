// SPDX-License-Identifier: Apache-2.0
//
// A nonce that lives only in RAM, and a timer that ticks by interrupt. A machine that was rebooted
// has another nonce; one that goes on has the same, and its count goes on too. Where the machine has
// a generation ID, each one that is seen is printed: it tells one that came back from one that went on.
#include "guest-images/runtime/acpi.h"
#include "guest-images/runtime/console.h"
#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/interrupts.h"
#include "guest-images/runtime/options.h"
#include "guest-images/runtime/random.h"
#include "guest-images/runtime/runtime.h"
#include "guest-images/runtime/timer.h"

namespace tintype::guest {
namespace {

// Compares the ticks with the TSC. Both go on after a checkpoint where they were, so a tick that
// is delivered twice, or a TSC that jumps, shows here.
class Pace {
 public:
  Pace(const Clock& clock, std::uint64_t hz)
      : cycles_per_tick_(clock.khz() * 1000 / hz), last_tsc_(read_tsc()), start_(last_tsc_) {}

  // How many ticks there are too many (or, negative, too few) for the time that has passed.
  std::int64_t drift(std::uint64_t ticks, std::uint64_t tsc) const {
    return static_cast<std::int64_t>(ticks) - static_cast<std::int64_t>((tsc - start_) / cycles_per_tick_);
  }

  // Reads the TSC; false if it went back.
  bool advance(std::uint64_t& tsc) {
    tsc = read_tsc();
    const bool forward = tsc >= last_tsc_;
    last_tsc_ = tsc;
    return forward;
  }

 private:
  std::uint64_t cycles_per_tick_;
  std::uint64_t last_tsc_;
  std::uint64_t start_;
};

std::uint64_t wait_for_tick(Timer timer, std::uint64_t wanted) {
  for (;;) {
    const std::uint64_t seen = interrupts_taken(0);
    const std::uint64_t ticks = timer_ticks(timer);
    if (ticks >= wanted) return ticks;
    wait_for_interrupt(0, seen);
  }
}

// Looked at with every line, for whoever has no interpreter of AML to be notified by.
class Generation {
 public:
  void print_if_new() {
    if (address_ == 0) return;
    std::uint64_t now[2];
    __builtin_memcpy(now, reinterpret_cast<const void*>(address_), sizeof now);
    if (now[0] == seen_[0] && now[1] == seen_[1]) return;
    seen_[0] = now[0], seen_[1] = now[1];
    print("GENERATION ", hex(now[1], 16), hex(now[0], 16), "\n");
  }

 private:
  const std::uint64_t address_ = find_generation();
  std::uint64_t seen_[2] = {};
};

}  // namespace

std::uint8_t kernel_main() {
  const std::uint64_t hz = number_option("hz", 100);
  const std::uint64_t every = number_option("every", 100);
  const std::uint64_t lines = number_option("ticks", 0);
  const std::uint64_t slack = number_option("slack", hz / 10 + 2);
  const Timer timer = option("timer") == Text("lapic") ? Timer::kLocalApic : Timer::kPit;

  const Rates rates = rates_of(timer);
  if (!rates.has(hz)) {
    print("TICKER NEEDS hz=", rates.lowest, " to hz=", rates.highest, " FOUND hz=", hz, "\n");
    return 2;
  }

  const std::uint64_t nonce = random_number();
  const Clock clock = Clock::calibrated();
  start_timer(timer, clock, static_cast<std::uint32_t>(hz));
  Pace pace(clock, hz);
  print("TICKER ", hex(nonce, 16), " hz=", hz, " every=", every, " tsc_khz=", clock.khz(), "\n");
  Generation generation;
  generation.print_if_new();

  for (std::uint64_t line = 1;; ++line) {
    const std::uint64_t ticks = wait_for_tick(timer, line * every);
    generation.print_if_new();
    std::uint64_t tsc = 0;
    const bool forward = pace.advance(tsc);
    const std::int64_t drift = pace.drift(ticks, tsc);
    print("TICK ", hex(nonce, 16), " ", line, " tsc=", tsc, " drift=", drift, "\n");
    if (!forward || drift > static_cast<std::int64_t>(slack + ticks / 100)) {
      print("TICKER BROKEN ", forward ? "more ticks than time" : "TSC went back", "\n");
      return 1;
    }
    if (line == lines) return 0;
  }
}

}  // namespace tintype::guest

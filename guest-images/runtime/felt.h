// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/timer.h"

// What a kernel's work felt of the machine below it: how much got done, and how long it stood still.
namespace tintype::guest {

// Gaps at least so long are counted, each class with those above it.
inline constexpr std::uint32_t kGapClasses = 3;
inline constexpr std::uint64_t kGapClassUs[kGapClasses] = {100, 1000, 10000};

// Sums of one interval.
struct Work {
  std::uint64_t pages = 0;
  std::uint64_t gap = 0;  // the longest, in cycles
  std::uint64_t gaps[kGapClasses] = {};
};

// What one CPU felt. Written by that CPU; another may take the sums.
class alignas(64) Felt {
 public:
  explicit Felt(const Clock& clock) : last_(read_tsc()) {
    for (std::uint32_t i = 0; i != kGapClasses; ++i) class_cycles_[i] = clock.cycles(kGapClassUs[i]);
  }

  // `pages` more are done. Returns the time, in cycles.
  std::uint64_t look(std::uint64_t pages) {
    const std::uint64_t now = read_tsc();
    const std::uint64_t gap = now - last_;
    last_ = now;
    pages_ = pages_ + pages;
    if (gap > gap_) gap_ = gap;
    for (std::uint32_t i = 0; i != kGapClasses && gap >= class_cycles_[i]; ++i) gaps_[i] = gaps_[i] + 1;
    return now;
  }

  // Time that was spent on something else than work.
  void skip() { last_ = read_tsc(); }

  // Adds what was felt since the last take(). Counters are only ever added to by their own CPU.
  void take(Work& work) {
    const std::uint64_t pages = pages_;
    work.pages += pages - pages_taken_;
    pages_taken_ = pages;
    const std::uint64_t gap = __atomic_exchange_n(&gap_, 0, __ATOMIC_RELAXED);
    if (gap > work.gap) work.gap = gap;
    for (std::uint32_t i = 0; i != kGapClasses; ++i) {
      const std::uint64_t gaps = gaps_[i];
      work.gaps[i] += gaps - gaps_taken_[i];
      gaps_taken_[i] = gaps;
    }
  }

 private:
  std::uint64_t class_cycles_[kGapClasses] = {};
  std::uint64_t last_;
  volatile std::uint64_t pages_ = 0;
  volatile std::uint64_t gap_ = 0;
  volatile std::uint64_t gaps_[kGapClasses] = {};
  std::uint64_t pages_taken_ = 0;
  std::uint64_t gaps_taken_[kGapClasses] = {};
};

// Prints a WORK line when an interval is over.
class WorkLines {
 public:
  WorkLines(const Clock& clock, std::uint64_t interval_us)
      : clock_(clock), interval_(clock.cycles(interval_us)), start_(read_tsc()), interval_start_(start_) {}

  // Returns the time since the start.
  std::uint64_t look(std::uint64_t now, Felt* felt, std::uint32_t cpus) {
    if (now - interval_start_ >= interval_) {
      print_line(now, felt, cpus);
      felt[0].skip();  // the time that printing takes is no gap
      interval_start_ = read_tsc();
    }
    return now - start_;
  }

 private:
  void print_line(std::uint64_t now, Felt* felt, std::uint32_t cpus);

  const Clock& clock_;
  std::uint64_t interval_;
  std::uint64_t start_;
  std::uint64_t interval_start_;
};

}  // namespace tintype::guest

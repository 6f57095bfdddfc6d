// SPDX-License-Identifier: Apache-2.0
//
// Sweeps a region of memory and adds 1 to a word in each page, in order, again and again. So at
// any instant memory shows exactly one step: the pages before the sweep hold one more than the
// rest. A checkpoint whose memory shows anything else is not of one instant.
#include "guest-images/runtime/boot_info.h"
#include "guest-images/runtime/console.h"
#include "guest-images/runtime/felt.h"
#include "guest-images/runtime/options.h"
#include "guest-images/runtime/runtime.h"

namespace tintype::guest {
namespace {

constexpr std::uint64_t kPageSize = 4096;
constexpr std::uint64_t kPagesPerLook = 16;  // how often the time is looked at

// The words, one at the start of each page.
class Staircase {
 public:
  Staircase(std::uint64_t base, std::uint64_t pages) : base_(base), pages_(pages) {
    for (std::uint64_t page = 0; page != pages_; ++page) word(page) = 0;
  }

  std::uint64_t pages() const { return pages_; }
  volatile std::uint64_t& word(std::uint64_t page) const {
    return *reinterpret_cast<volatile std::uint64_t*>(base_ + page * kPageSize);
  }

  // Adds 1 to `count` pages from `first` on, which must hold `expected`. Returns the first page
  // that does not, or first + count.
  std::uint64_t climb(std::uint64_t first, std::uint64_t count, std::uint64_t expected) const {
    for (std::uint64_t page = first; page != first + count; ++page) {
      if (word(page) != expected) return page;
      word(page) = expected + 1;
    }
    return first + count;
  }

 private:
  std::uint64_t base_;
  std::uint64_t pages_;
};

// Sweeps until `duration` is over (0: for ever) or a page holds something else than it should.
std::uint8_t sweep(const Staircase& staircase, Felt& felt, WorkLines& lines, std::uint64_t duration) {
  for (std::uint64_t step = 0;; ++step) {
    for (std::uint64_t page = 0; page != staircase.pages(); page += kPagesPerLook) {
      const std::uint64_t reached = staircase.climb(page, kPagesPerLook, step);
      if (reached != page + kPagesPerLook) {
        print("STAIRCASE BROKEN page=", reached, " expected=", step, " found=", std::uint64_t{staircase.word(reached)},
              "\n");
        return 1;
      }
      if (lines.look(felt.look(kPagesPerLook), &felt, 1) >= duration && duration != 0) {
        print("STAIRCASE DONE sweeps=", step, "\n");
        return 0;
      }
    }
  }
}

}  // namespace

std::uint8_t kernel_main() {
  const std::uint64_t wanted_mb = number_option("mb", 512);
  const MemoryRange memory = free_memory();
  if (wanted_mb == 0 || wanted_mb > memory.size >> 20) {
    print("STAIRCASE NEEDS mb=", wanted_mb, " FOUND mb=", memory.size >> 20, "\n");
    return 2;
  }
  const Clock clock = Clock::calibrated();
  const Staircase staircase(memory.start, (wanted_mb << 20) / kPageSize);
  print("STAIRCASE base=0x", hex(memory.start), " pages=", staircase.pages(), "\n");
  Felt felt(clock);
  WorkLines lines(clock, number_option("interval_ms", 100) * 1000);
  return sweep(staircase, felt, lines, clock.cycles(number_option("seconds", 0) * 1000000));
}

}  // namespace tintype::guest

// SPDX-License-Identifier: Apache-2.0
//
// What most machines do: much memory, and little of it written to. Touches `mb` MiB once, then writes a word in each
// page of the first `hot` MiB, in order, again and again; or in pages here and there. Each page knows which one it is
// and notices when it holds another's contents.
#include "guest-images/runtime/acpi.h"
#include "guest-images/runtime/boot_info.h"
#include "guest-images/runtime/console.h"
#include "guest-images/runtime/felt.h"
#include "guest-images/runtime/high_memory.h"
#include "guest-images/runtime/options.h"
#include "guest-images/runtime/random.h"
#include "guest-images/runtime/runtime.h"
#include "guest-images/runtime/smp.h"

namespace tintype::guest {
namespace {

constexpr std::uint64_t kPageSize = 4096;
constexpr std::uint64_t kPagesPerLook = 16;  // how often the time is looked at
constexpr std::uint64_t kPagesPerMiB = 256;
constexpr std::uint32_t kMostCpus = 2;

// Memory as one row of pages, though there is a hole below 4 GiB.
class Pages {
 public:
  Pages() : low_(free_memory()), high_(map_high_memory(low_)) {}

  std::uint64_t count() const { return (low_.size + high_.size) / kPageSize; }
  std::uint64_t start() const { return low_.start; }
  volatile std::uint64_t& word(std::uint64_t page) const {
    const std::uint64_t offset = page * kPageSize;
    const std::uint64_t address = offset < low_.size ? low_.start + offset : high_.start + offset - low_.size;
    return *reinterpret_cast<volatile std::uint64_t*>(address);
  }

 private:
  MemoryRange low_;
  MemoryRange high_;
};

// A page's first word: its number and 1 below, how often it was written to above.
constexpr std::uint64_t kOnce = std::uint64_t{1} << 32;
constexpr std::uint64_t number_of(std::uint64_t word) { return word & (kOnce - 1); }

// The pages that one CPU writes to.
struct Share {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};

// Which page is next.
class Walk {
 public:
  Walk(Share share, bool random) : share_(share), random_(random) {}

  std::uint64_t next() {
    const std::uint64_t step = step_++;
    if (random_ && share_.count != 0) return share_.first + mix(step + share_.first + 1) % share_.count;
    if (step_ == share_.count) step_ = 0;
    return share_.first + step;
  }

 private:
  Share share_;
  bool random_;
  std::uint64_t step_ = 0;
};

// Holds the work down to a rate. Time lost is not made up for.
class Pace {
 public:
  Pace(const Clock& clock, std::uint64_t pages_per_ms)
      : cycles_per_look_(pages_per_ms == 0 ? 0 : clock.cycles(kPagesPerLook * 1000) / pages_per_ms) {}

  void wait(Felt& felt) {
    if (cycles_per_look_ == 0) return;
    due_ += cycles_per_look_;
    std::uint64_t now = felt.look(0);
    if (due_ < now) due_ = now;
    for (; now < due_; now = felt.look(0)) cpu_relax();
  }

 private:
  std::uint64_t cycles_per_look_;
  std::uint64_t due_ = 0;
};

// Everything that the CPUs share.
struct Shared {
  Felt felt[kMostCpus];
  Clock clock;
  Pages pages;
  Share shares[kMostCpus];
  std::uint64_t rate;
  volatile std::uint64_t broken = 0;  // a page that holds another's contents, and 1
  bool random;
};

constinit Shared* shared = nullptr;

void touch_all(std::uint64_t count) {
  for (std::uint64_t page = 0; page != count; ++page) shared->pages.word(page) = page + 1;
}

// False where a page is not the one that it should be.
bool write_some(Walk& walk) {
  for (std::uint64_t i = 0; i != kPagesPerLook; ++i) {
    const std::uint64_t page = walk.next();
    volatile std::uint64_t& word = shared->pages.word(page);
    const std::uint64_t found = word;
    if (number_of(found) != page + 1) {
      shared->broken = page + 1;
      return false;
    }
    word = found + kOnce;
  }
  return true;
}

void further_cpu(std::uint32_t cpu) {
  Walk walk(shared->shares[cpu], shared->random);
  Pace pace(shared->clock, shared->rate);
  shared->felt[cpu].skip();
  while (shared->shares[cpu].count == 0 || write_some(walk)) {
    shared->felt[cpu].look(kPagesPerLook);
    pace.wait(shared->felt[cpu]);
  }
}

// Works until `duration` is over (0: for ever) or a page is not what it should be. A CPU that has nothing to write only
// looks at the time, and counts that as work.
std::uint8_t work(std::uint32_t cpus, std::uint64_t interval_us, std::uint64_t duration) {
  Walk walk(shared->shares[0], shared->random);
  Pace pace(shared->clock, shared->rate);
  Felt& felt = shared->felt[0];
  WorkLines lines(shared->clock, interval_us);
  for (felt.skip();; pace.wait(felt)) {
    if (shared->shares[0].count != 0) write_some(walk);
    if (shared->broken != 0) {
      const std::uint64_t page = shared->broken - 1;
      print("HOTSET BROKEN page=", page, " found=", number_of(shared->pages.word(page)), "\n");
      return 1;
    }
    const std::uint64_t now = lines.look(felt.look(kPagesPerLook), shared->felt, cpus);
    if (duration != 0 && now >= duration) {
      print("HOTSET DONE\n");
      return 0;
    }
  }
}

bool start_second() {
  static constinit char stack[16384] = {};
  const CpuList cpus = find_cpus();
  if (cpus.count > 1 && start_cpu(1, cpus.apic_ids[1], further_cpu, stack + sizeof stack, shared->clock)) return true;
  print("HOTSET NEEDS cpus=2 FOUND cpus=", cpus.count, "\n");
  return false;
}

// Whole steps of kPagesPerLook each, side by side.
void divide(std::uint64_t pages, std::uint32_t cpus) {
  const std::uint64_t each = pages / cpus;
  for (std::uint32_t cpu = 0; cpu != cpus; ++cpu) shared->shares[cpu] = Share{cpu * each, each};
}

}  // namespace

std::uint8_t kernel_main() {
  const std::uint64_t wanted = number_option("mb", 512) * kPagesPerMiB;
  const bool random = number_option("random", 0) != 0;
  const std::uint64_t hot = random ? wanted : number_option("hot", 16) * kPagesPerMiB;
  const std::uint32_t cpus = number_option("cpus", 1) > 1 ? 2 : 1;
  const Clock clock = Clock::calibrated();
  static Shared everything{{Felt(clock), Felt(clock)}, clock, Pages(), {}, number_option("rate", 0), 0, random};
  shared = &everything;
  if (wanted == 0 || wanted > shared->pages.count() || hot > wanted) {
    print("HOTSET NEEDS mb=", (wanted > hot ? wanted : hot) / kPagesPerMiB,
          " FOUND mb=", shared->pages.count() / kPagesPerMiB, "\n");
    return 2;
  }
  touch_all(wanted);
  divide(hot, cpus);
  print("HOTSET base=0x", hex(shared->pages.start()), " pages=", wanted, " hot=", hot, "\n");
  if (cpus == 2 && !start_second()) return 2;
  return work(cpus, number_option("interval_ms", 100) * 1000,
              shared->clock.cycles(number_option("seconds", 0) * 1000000));
}

}  // namespace tintype::guest

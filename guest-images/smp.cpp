// SPDX-License-Identifier: Apache-2.0
//
// All CPUs at once: they take one lock to add to one counter, send each other interrupts, and have
// a timer each. Nothing of it may get lost.
#include "guest-images/runtime/smp.h"

#include "guest-images/runtime/acpi.h"
#include "guest-images/runtime/boot_info.h"
#include "guest-images/runtime/console.h"
#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/interrupts.h"
#include "guest-images/runtime/options.h"
#include "guest-images/runtime/patience.h"
#include "guest-images/runtime/runtime.h"

namespace tintype::guest {
namespace {

constexpr std::uint64_t kStackSize = 16384;
constexpr std::uint64_t kLocksPerInterrupt = 64;
constexpr std::uint32_t kHz = 100;
constexpr std::uint32_t kSilentLines = 30;  // lines of output without a timer tick: it has stopped

// Written by its CPU, read by the first.
struct alignas(64) PerCpu {
  volatile std::uint64_t rounds_done = 0;
  volatile std::uint64_t locks_taken = 0;
  volatile std::uint64_t interrupts_sent = 0;
  volatile bool intruder_seen = false;  // somebody else was inside the lock
  volatile bool interrupt_lost = false;
};

// Everything that the CPUs share.
struct Shared {
  PerCpu per_cpu[MAX_CPUS] = {};
  Clock clock;
  std::uint64_t locks_per_round;
  volatile std::uint64_t round = 0;  // the first CPU lets a round begin
  CpuList cpus;
};

constinit Shared* shared = nullptr;

// What the lock guards lies beside it.
struct alignas(64) Guarded {
  volatile std::uint64_t counter = 0;
  volatile std::uint32_t owner = 0;
  volatile std::uint32_t lock = 0;
};

constinit Guarded guarded;

std::uint32_t neighbour(std::uint32_t cpu) { return (cpu + 1) % shared->cpus.count; }

std::uint64_t interrupts_arrived(std::uint32_t from) { return interrupts_taken(neighbour(from), VECTOR_IPI + from); }

void take_lock() {
  while (__atomic_exchange_n(&guarded.lock, 1, __ATOMIC_ACQUIRE) != 0)
    while (guarded.lock != 0) cpu_relax();
}

void release_lock() { __atomic_store_n(&guarded.lock, 0, __ATOMIC_RELEASE); }

// The counter is changed in two steps on purpose: two CPUs inside at once would lose an addition.
void add_one(std::uint32_t cpu) {
  PerCpu& own = shared->per_cpu[cpu];
  take_lock();
  guarded.owner = cpu;
  guarded.counter = guarded.counter + 1;
  if (guarded.owner != cpu) own.intruder_seen = true;
  release_lock();
  own.locks_taken = own.locks_taken + 1;
}

// An interrupt is sent only when the one before has arrived: two of the same kind that wait at the
// same time become one.
void interrupt_neighbour(std::uint32_t cpu) {
  PerCpu& own = shared->per_cpu[cpu];
  if (interrupts_arrived(cpu) != own.interrupts_sent) return;
  own.interrupts_sent = own.interrupts_sent + 1;
  send_interrupt(shared->cpus.apic_ids[neighbour(cpu)], VECTOR_IPI + cpu);
}

void work_one_round(std::uint32_t cpu) {
  PerCpu& own = shared->per_cpu[cpu];
  for (std::uint64_t i = 0; i != shared->locks_per_round; ++i) {
    add_one(cpu);
    if (i % kLocksPerInterrupt == 0) interrupt_neighbour(cpu);
  }
  const auto arrived = [&] { return interrupts_arrived(cpu) == own.interrupts_sent; };
  if (!comes_true(arrived, shared->clock.cycles(10000000))) own.interrupt_lost = true;
  own.rounds_done = own.rounds_done + 1;
}

void further_cpu(std::uint32_t cpu) {
  start_lapic_timer(shared->clock, kHz);
  for (std::uint64_t round = 1;; ++round) {
    while (shared->round < round) cpu_relax();
    work_one_round(cpu);
  }
}

bool start_all() {
  static constinit char stacks[MAX_CPUS][kStackSize] = {};
  for (std::uint32_t cpu = 1; cpu != shared->cpus.count; ++cpu) {
    char* const top = stacks[cpu] + kStackSize;
    if (start_cpu(cpu, shared->cpus.apic_ids[cpu], further_cpu, top, shared->clock)) continue;
    print("SMP BROKEN cpu=", cpu, " does not start\n");
    return false;
  }
  start_lapic_timer(shared->clock, kHz);
  return true;
}

bool round_is_over(std::uint64_t round) {
  for (std::uint32_t cpu = 0; cpu != shared->cpus.count; ++cpu)
    if (shared->per_cpu[cpu].rounds_done != round) return false;
  return true;
}

bool broken(std::uint32_t cpu, Text what) {
  print("SMP BROKEN cpu=", cpu, " ", what, "\n");
  return false;
}

// When all CPUs rest between two rounds, everything must add up.
bool adds_up(std::uint64_t& locks, std::uint64_t& interrupts) {
  locks = interrupts = 0;
  for (std::uint32_t cpu = 0; cpu != shared->cpus.count; ++cpu) {
    const PerCpu& per_cpu = shared->per_cpu[cpu];
    locks += per_cpu.locks_taken;
    interrupts += per_cpu.interrupts_sent;
    if (per_cpu.intruder_seen) return broken(cpu, "was not alone inside the lock");
    if (per_cpu.interrupt_lost) return broken(cpu, "sent an interrupt that did not arrive");
    if (interrupts_arrived(cpu) != per_cpu.interrupts_sent) return broken(cpu, "sent an interrupt that arrived twice");
  }
  if (locks == guarded.counter) return true;
  print("SMP BROKEN locks=", locks, " counter=", std::uint64_t{guarded.counter}, "\n");
  return false;
}

// Sees to it that every CPU's timer ticks. Counts lines, not time: the TSC may jump at a restore.
class TimerWatch {
 public:
  bool all_tick() {
    for (std::uint32_t cpu = 0; cpu != shared->cpus.count; ++cpu) {
      const std::uint64_t ticks = interrupts_taken(cpu, VECTOR_LAPIC_TIMER);
      silent_lines_[cpu] = ticks == ticks_[cpu] ? silent_lines_[cpu] + 1 : 0;
      ticks_[cpu] = ticks;
      if (silent_lines_[cpu] == kSilentLines) return broken(cpu, "has no timer ticks any more");
    }
    return true;
  }

 private:
  std::uint64_t ticks_[MAX_CPUS] = {};
  std::uint32_t silent_lines_[MAX_CPUS] = {};
};

bool work(std::uint64_t rounds, std::uint64_t duration, std::uint64_t interval) {
  TimerWatch timers;
  const std::uint64_t start = read_tsc();
  std::uint64_t last_line = start;
  for (std::uint64_t round = 1;; ++round) {
    shared->round = round;
    work_one_round(0);
    const auto over = [&] { return round_is_over(round); };
    if (!comes_true(over, shared->clock.cycles(60000000))) return broken(0, "waits in vain for another");
    std::uint64_t locks = 0, interrupts = 0;
    if (!adds_up(locks, interrupts)) return false;
    const std::uint64_t now = read_tsc();
    const bool last = round == rounds || (duration != 0 && now - start >= duration);
    if (!last && now - last_line < interval) continue;
    last_line = now;
    print("SMP cpus=", shared->cpus.count, " locks=", locks, " ipis=", interrupts, " OK\n");
    if (last) return true;
    if (!timers.all_tick()) return false;
  }
}

}  // namespace

std::uint8_t kernel_main() {
  const Clock clock = Clock::calibrated();
  static Shared everything{.clock = clock, .locks_per_round = number_option("locks", 10000), .cpus = find_cpus()};
  shared = &everything;
  if (!start_all()) return 1;
  const bool good = work(number_option("rounds", 0), clock.cycles(number_option("seconds", 0) * 1000000),
                         clock.cycles(number_option("interval_ms", 100) * 1000));
  return good ? 0 : 1;
}

}  // namespace tintype::guest

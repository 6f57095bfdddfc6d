// SPDX-License-Identifier: Apache-2.0
#include "guest-images/ledger/witness.h"

#include "guest-images/runtime/console.h"
#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/interrupts.h"
#include "guest-images/runtime/random.h"
#include "guest-images/runtime/smp.h"

namespace tintype::guest {
namespace {

constexpr std::uint64_t kStackSize = 16384;

constinit Witness witnesses[MAX_CPUS];
constinit volatile std::uint64_t records_begun = 0;

// Each time that it is woken it goes once through its lines. How far it is it knows by itself.
void bear_witness(std::uint32_t cpu) {
  Witness& witness = witnesses[cpu];
  std::uint64_t number = 0;
  for (;;) {
    const std::uint64_t seen = interrupts_taken(cpu, VECTOR_IPI);
    for (std::uint64_t i = 0; i != Witness::kLines; ++i)
      if (!witness.write(++number, records_begun)) return;
    while (interrupts_taken(cpu, VECTOR_IPI) == seen) {
      const std::uint64_t any = interrupts_taken(cpu);
      if (interrupts_taken(cpu, VECTOR_IPI) == seen) wait_for_interrupt(cpu, any);
    }
  }
}

}  // namespace

// --- One ----------------------------------------------------------------------------------------

void Witness::place(std::uint64_t nonce, std::uint8_t* pages) {
  nonce_ = nonce;
  pages_ = pages;
  for (std::uint64_t number = 0; number != kLines; ++number) {
    line(number) = Line{0, 0, 0};
    line(number).checksum = checksum(line(number));
  }
}

bool Witness::write(std::uint64_t number, std::uint64_t records) {
  Line& before = line(number);
  expected_ = number < kLines ? 0 : number - kLines;
  found_ = before.number;
  if (found_ != expected_ || before.records > records || before.checksum != checksum(before)) {
    torn_ = true;
    return false;
  }
  before.number = number;
  before.records = records;
  before.checksum = checksum(before);
  records_seen_ = records;
  lines_ = number;
  return true;
}

Witness::Line& Witness::line(std::uint64_t number) const {
  return *reinterpret_cast<Line*>(pages_ + number % kLines * 4096);
}

std::uint64_t Witness::checksum(const Line& line) const { return mix(mix(nonce_ ^ line.number) ^ line.records); }

// --- All ----------------------------------------------------------------------------------------

bool Witnesses::start(const CpuList& cpus, std::uint64_t nonce, std::uint8_t* pages) {
  static constinit char stacks[MAX_CPUS][kStackSize] = {};
  cpus_ = cpus;
  if (cpus.count == 1) return true;
  const Clock clock = Clock::calibrated();
  for (std::uint32_t cpu = 1; cpu != cpus.count; ++cpu) {
    witnesses[cpu].place(nonce ^ cpu, pages + (cpu - 1) * Witness::kBytes);
    if (start_cpu(cpu, cpus.apic_ids[cpu], bear_witness, stacks[cpu] + kStackSize, clock)) continue;
    print("LEDGER BROKEN cpu ", cpu, " does not start\n");
    return false;
  }
  return true;
}

bool Witnesses::tell(std::uint64_t records) {
  const bool has_news = records != records_begun || asked_;
  for (std::uint32_t cpu = 1; cpu < cpus_.count; ++cpu) {
    if (is_torn(cpu, records)) return false;
    Heard& heard = heard_[cpu];
    if (heard.lines < heard.at_wake + Witness::kLines) continue;
    if (!has_news) continue;
    heard.at_wake = heard.lines;
    records_begun = records;
    send_interrupt(cpus_.apic_ids[cpu], VECTOR_IPI);
  }
  records_begun = records;
  return true;
}

// What it saw is looked at first: records are only ever more than it can have seen.
bool Witnesses::is_torn(std::uint32_t cpu, std::uint64_t records) {
  const Witness& witness = witnesses[cpu];
  const std::uint64_t seen = witness.records_seen();
  const std::uint64_t lines = witness.lines();
  if (witness.is_torn()) {
    print("LEDGER TORN cpu=", cpu, " line=", witness.expected(), " found=", witness.found(), "\n");
  } else if (lines < heard_[cpu].lines) {
    print("LEDGER TORN cpu=", cpu, " lines=", lines, " heard=", heard_[cpu].lines, "\n");
  } else if (seen > records) {
    print("LEDGER TORN cpu=", cpu, " saw=", seen, " records=", records, "\n");
  } else {
    heard_[cpu].lines = lines;
    return false;
  }
  return true;
}

void Witnesses::ask() {
  asked_ = true;
  for (std::uint32_t cpu = 1; cpu < cpus_.count; ++cpu) heard_[cpu].at_asking = heard_[cpu].lines;
}

// One that was at its lines already may have passed some of them: they are looked at twice.
bool Witnesses::have_looked() {
  for (std::uint32_t cpu = 1; cpu < cpus_.count; ++cpu)
    if (heard_[cpu].lines < heard_[cpu].at_asking + 2 * Witness::kLines) return false;
  asked_ = false;
  return true;
}

std::uint32_t Witnesses::silent() const {
  for (std::uint32_t cpu = 1; cpu < cpus_.count; ++cpu)
    if (heard_[cpu].lines < heard_[cpu].at_wake + Witness::kLines) return cpu;
  return 0;
}

}  // namespace tintype::guest

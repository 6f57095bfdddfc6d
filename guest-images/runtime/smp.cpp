// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/smp.h"

#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/interrupts.h"
#include "guest-images/runtime/layout.h"

extern "C" {
extern const char trampoline[], trampoline_end[];  // trampoline.S
extern volatile std::uint32_t entry_cpu;           // boot.S
extern volatile std::uint64_t entry_stack;         // boot.S
}

namespace tintype::guest {
namespace {

// The local APIC's interrupt command.
constexpr std::uint64_t kCommandLow = LAPIC_BASE + 0x300;
constexpr std::uint64_t kCommandHigh = LAPIC_BASE + 0x310;
constexpr std::uint32_t kFixed = 0x4000;
constexpr std::uint32_t kInit = 0x4500;
constexpr std::uint32_t kStartUp = 0x4600;
constexpr std::uint32_t kSending = 0x1000;

constinit CpuFunction* function_of_next_cpu = nullptr;
constinit volatile std::uint32_t newest_cpu = 0;

void command(std::uint32_t apic_id, std::uint32_t what) {
  mmio_write32(kCommandHigh, apic_id << 24);
  mmio_write32(kCommandLow, what);
  while (mmio_read32(kCommandLow) & kSending) cpu_relax();
}

bool arrives(std::uint32_t cpu, std::uint64_t cycles) {
  for (const std::uint64_t start = read_tsc(); read_tsc() - start < cycles; cpu_relax())
    if (newest_cpu == cpu) return true;
  return false;
}

}  // namespace

bool start_cpu(std::uint32_t cpu, std::uint32_t apic_id, CpuFunction* function, void* stack_top, const Clock& clock) {
  __builtin_memcpy(reinterpret_cast<void*>(TRAMPOLINE_BASE), trampoline,
                   static_cast<std::uint64_t>(trampoline_end - trampoline));
  function_of_next_cpu = function;
  entry_stack = reinterpret_cast<std::uint64_t>(stack_top) - 8;
  entry_cpu = cpu;
  memory_barrier();
  command(apic_id, kInit);
  arrives(cpu, clock.cycles(10000));
  // The manual wants two; the second is for a CPU that slept through the first.
  command(apic_id, kStartUp | TRAMPOLINE_BASE >> 12);
  if (arrives(cpu, clock.cycles(100000))) return true;
  command(apic_id, kStartUp | TRAMPOLINE_BASE >> 12);
  return arrives(cpu, clock.cycles(900000));
}

void send_interrupt(std::uint32_t apic_id, std::uint32_t vector) { command(apic_id, kFixed | vector); }

}  // namespace tintype::guest

void further_cpu_entry(std::uint32_t cpu) {
  using namespace tintype::guest;
  start_local_apic();
  CpuFunction* const function = function_of_next_cpu;
  memory_barrier();
  newest_cpu = cpu;
  function(cpu);
  for (;;) wait_for_interrupt(cpu, interrupts_taken(cpu));
}

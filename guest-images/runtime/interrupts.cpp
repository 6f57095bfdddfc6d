// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/interrupts.h"

#include "guest-images/runtime/cpu.h"

extern "C" {
// tables.S; its upper half is the ring-0 stack.
extern volatile std::uint64_t cpu_pages[MAX_CPUS][CPU_PAGE_SIZE / 8];
}

namespace tintype::guest {
namespace {

constexpr std::uint64_t kSpuriousVectorRegister = LAPIC_BASE + 0xf0;
constexpr std::uint32_t kLocalApicOn = 0x100;

// The I/O APIC's registers are reached through a pair of them.
constexpr std::uint64_t kIoApicSelect = IOAPIC_BASE;
constexpr std::uint64_t kIoApicWindow = IOAPIC_BASE + 0x10;
constexpr std::uint32_t kFirstRedirection = 0x10;

void write_io_apic(std::uint32_t index, std::uint32_t value) {
  mmio_write32(kIoApicSelect, index);
  mmio_write32(kIoApicWindow, value);
}

}  // namespace

std::uint64_t interrupts_taken(std::uint32_t cpu, std::uint32_t vector) { return cpu_pages[cpu][vector]; }

std::uint64_t interrupts_taken(std::uint32_t cpu) { return cpu_pages[cpu][0]; }

void wait_for_interrupt(std::uint32_t cpu, std::uint64_t seen) {
  // Not allowed here: ring 0 catches it, see protection_fault in interrupts.S.
  asm volatile("hlt" : : "D"(&cpu_pages[cpu][0]), "S"(seen) : "memory", "cc");
}

void start_local_apic() { mmio_write32(kSpuriousVectorRegister, kLocalApicOn | VECTOR_SPURIOUS); }

void enable_interrupt(std::uint32_t pin) {
  write_io_apic(kFirstRedirection + 2 * pin + 1, 0);  // to the CPU whose APIC ID is 0
  write_io_apic(kFirstRedirection + 2 * pin, vector_of_pin(pin));
}

}  // namespace tintype::guest

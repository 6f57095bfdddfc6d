// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/runtime/layout.h"

// Interrupts as ring 3 sees them: counters that grow. Ring 0 counts and acknowledges them at the
// local APIC; what they mean is found out by whoever watches the counter.
namespace tintype::guest {

// How many interrupts of this vector the CPU has taken since it started.
std::uint64_t interrupts_taken(std::uint32_t cpu, std::uint32_t vector);

// How many interrupts the CPU has taken altogether.
std::uint64_t interrupts_taken(std::uint32_t cpu);

// Halts until an interrupt comes, unless one has come since interrupts_taken(cpu) was `seen`.
// `cpu` must be the one that this runs on.
void wait_for_interrupt(std::uint32_t cpu, std::uint64_t seen);

// Lets this CPU's local APIC deliver interrupts. The runtime has done it on the first CPU.
void start_local_apic();

// Leads a pin of the I/O APIC to vector VECTOR_IOAPIC + pin of the first CPU.
//
// Always edge-triggered, also where the device holds the line until it is served (QEMU's
// virtio-mmio does): whoever serves it acknowledges first and then looks for work, so an event
// that comes in between raises the line anew.
void enable_interrupt(std::uint32_t pin);

// The vector that a pin leads to.
constexpr std::uint32_t vector_of_pin(std::uint32_t pin) { return VECTOR_IOAPIC + pin; }

}  // namespace tintype::guest

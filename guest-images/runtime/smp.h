// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "guest-images/runtime/timer.h"

// Where a CPU other than the first goes once it is in ring 3.
extern "C" [[noreturn]] void further_cpu_entry(std::uint32_t cpu);

// More than one CPU.
namespace tintype::guest {

using CpuFunction = void(std::uint32_t cpu);

// Wakes a CPU by INIT and SIPI. It becomes CPU number `cpu` (from 1 on, below MAX_CPUS) and runs
// `function` in ring 3 on a stack that ends at `stack_top`. False if it does not come within a
// second.
bool start_cpu(std::uint32_t cpu, std::uint32_t apic_id, CpuFunction* function, void* stack_top, const Clock& clock);

// Interrupts another CPU, or this one.
void send_interrupt(std::uint32_t apic_id, std::uint32_t vector);

}  // namespace tintype::guest

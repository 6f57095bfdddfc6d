// SPDX-License-Identifier: Apache-2.0
//
// Numbers that the assembler, the linker and the compiler must agree on. Plain macros, because
// all three read this file.
//
// The tables that the processor walks lie at fixed addresses. That is what lets the assembler
// write page tables and interrupt gates as ready-made data, so that nothing has to be computed
// in ring 0 when the machine starts.
#pragma once

#define TABLES_BASE 0x101000
#define TABLES_PML4 (TABLES_BASE + 0x0000)
#define TABLES_PDPT (TABLES_BASE + 0x1000)
#define TABLES_PAGE_DIRECTORIES (TABLES_BASE + 0x2000)
#define TABLES_IDT (TABLES_BASE + 0x6000)
#define TABLES_GDT (TABLES_BASE + 0x7000)
#define TABLES_TASK_STATES (TABLES_BASE + 0x8000)
#define STUBS_BASE (TABLES_BASE + 0xc000)
#define STUB_SIZE 32

// A further CPU starts in real mode, in a page below 1 MiB: the trampoline is copied here.
#define TRAMPOLINE_BASE 0x8000

#define MAX_CPUS 64

#define SELECTOR_CODE32 0x08
#define SELECTOR_KERNEL_CODE 0x10
#define SELECTOR_KERNEL_DATA 0x18
#define SELECTOR_USER_DATA (0x20 | 3)
#define SELECTOR_USER_CODE (0x28 | 3)
#define SELECTOR_TASK_STATES 0x30

// Each CPU has one page: interrupt counters at its bottom (a 64-bit word for each vector, and in
// the first one the sum of them all), the ring-0 stack at its top. A handler finds its counters by
// rounding its stack pointer down.
#define CPU_PAGE_SIZE 4096

#define VECTOR_PROTECTION_FAULT 13
#define VECTOR_IOAPIC 0x20  // + pin, 24 pins
#define VECTOR_LAPIC_TIMER 0x3e
#define VECTOR_IPI 0x40  // + number of the sending CPU
#define VECTOR_SPURIOUS 0xff

#define LAPIC_BASE 0xfee00000
#define LAPIC_EOI (LAPIC_BASE + 0xb0)
#define IOAPIC_BASE 0xfec00000

#define DEBUG_EXIT_PORT 0xf4

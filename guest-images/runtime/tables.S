// SPDX-License-Identifier: Apache-2.0
//
// What the processor walks by itself: page tables, interrupt gates, segments, task states.
// All of it is finished data. See layout.h for why the addresses are fixed.

#include "guest-images/runtime/layout.h"

// For the linker script to compare with.
.global tables_address, stubs_address
.set tables_address, TABLES_BASE
.set stubs_address, STUBS_BASE

.section .tables, "aw", @progbits

// --- Page tables: the low 4 GiB, one to one, in 2 MiB pages, open to ring 3 -------------------
// 0x67: present, writable, user, accessed, dirty (the last two so that nobody has to set them).
// The last GiB belongs to devices and is mapped uncached (0x18).
.org TABLES_PML4 - TABLES_BASE
    .quad TABLES_PDPT + 0x67

.org TABLES_PDPT - TABLES_BASE
    .quad TABLES_PAGE_DIRECTORIES + 0x0067
    .quad TABLES_PAGE_DIRECTORIES + 0x1067
    .quad TABLES_PAGE_DIRECTORIES + 0x2067
    .quad TABLES_PAGE_DIRECTORIES + 0x3067

.org TABLES_PAGE_DIRECTORIES - TABLES_BASE
.set address, 0
.rept 3 * 512
    .quad address + 0x80 + 0x67
    .set address, address + 0x200000
.endr
.rept 512
    .quad address + 0x80 + 0x67 + 0x18
    .set address, address + 0x200000
.endr

// --- Interrupt gates: vector v leads to the stub at STUBS_BASE + STUB_SIZE * v ----------------
.macro gate vector
    .word (STUBS_BASE + STUB_SIZE * (\vector)) & 0xffff
    .word SELECTOR_KERNEL_CODE
    .byte 0
    .byte 0x8e                          // present, for ring 0, interrupts off inside
    .word (STUBS_BASE + STUB_SIZE * (\vector)) >> 16
    .quad 0
.endm

.org TABLES_IDT - TABLES_BASE
.set vector, 0
.rept 256
    gate vector
    .set vector, vector + 1
.endr

// --- Segments ----------------------------------------------------------------------------------
.set task_states_size, 104 * MAX_CPUS
.set io_bitmap_size, 8192

.org TABLES_GDT - TABLES_BASE
    .quad 0
    .quad 0x00cf9b000000ffff            // SELECTOR_CODE32
    .quad 0x00af9b000000ffff            // SELECTOR_KERNEL_CODE
    .quad 0x00cf93000000ffff            // SELECTOR_KERNEL_DATA
    .quad 0x00cff3000000ffff            // SELECTOR_USER_DATA
    .quad 0x00affb000000ffff            // SELECTOR_USER_CODE
.set base, TABLES_TASK_STATES
.set limit, task_states_size + io_bitmap_size
.rept MAX_CPUS                          // SELECTOR_TASK_STATES + 16 * cpu
    .word limit
    .word base & 0xffff
    .byte (base >> 16) & 0xff
    .byte 0x89
    .byte 0
    .byte base >> 24
    .quad 0
    .set base, base + 104
    .set limit, limit - 104
.endr

// --- Task states -------------------------------------------------------------------------------
// One for each CPU, and behind them one I/O permission bitmap that all of them share: all zero,
// so that ring 3 may use every port. The byte after it must be 0xff.
.org TABLES_TASK_STATES - TABLES_BASE
.set cpu, 0
.rept MAX_CPUS
    .long 0
    .quad cpu_pages + CPU_PAGE_SIZE * (cpu + 1)   // stack for ring 0
    .skip 102 - 12
    .word task_states_size - 104 * cpu            // where the bitmap is, seen from here
    .set cpu, cpu + 1
.endr
    .skip io_bitmap_size
    .byte 0xff

.global gdt_pointer, idt_pointer
.balign 8
gdt_pointer:
    .word 0x30 + 16 * MAX_CPUS - 1
    .quad TABLES_GDT
idt_pointer:
    .word 256 * 16 - 1
    .quad TABLES_IDT

.section .bss
.balign CPU_PAGE_SIZE
.global cpu_pages
.type cpu_pages, @object
cpu_pages:
    .skip CPU_PAGE_SIZE * MAX_CPUS
.size cpu_pages, . - cpu_pages

.section .note.GNU-stack, "", @progbits

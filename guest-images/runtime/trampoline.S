// SPDX-License-Identifier: Apache-2.0
//
// A further CPU wakes up in real mode, at the page that the SIPI named. This is copied there.

#include "guest-images/runtime/layout.h"

.section .rodata
.global trampoline, trampoline_end
.code16
trampoline:
    cli
    cld
    xor %ax, %ax
    mov %ax, %ds
    lgdtl TRAMPOLINE_BASE + (gdt_pointer_below - trampoline)
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $SELECTOR_CODE32, $further_cpu
.balign 4
gdt_pointer_below:
    .word 0x30 - 1
    .long TABLES_GDT
trampoline_end:

.section .boot, "ax", @progbits
.code32
further_cpu:
    mov $SELECTOR_KERNEL_DATA, %eax
    mov %eax, %ds
    jmp enter_long_mode

.section .note.GNU-stack, "", @progbits

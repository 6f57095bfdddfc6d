// SPDX-License-Identifier: Apache-2.0
//
// From the loader to ring 3, in as few instructions as can be: on a host that emulates ring 0
// each of them costs about a microsecond.

#include "guest-images/runtime/layout.h"

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x3             // modules on page boundaries, memory map wanted
#define PVH_NOTE_TYPE 18                // XEN_ELFNOTE_PHYS32_ENTRY

#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080
#define EFER_LONG_MODE 0x100
#define CR0_PROTECTED 0x1
#define CR0_WRITE_PROTECT 0x10000
#define CR0_PAGING 0x80000000
#define CR0_CACHE_OFF 0x60000000        // set in a CPU that comes out of INIT
// Interrupts on, and I/O privilege level 3 besides the task state's I/O bitmap: some hosts drop the level when they
// deliver an interrupt, and emulated CPUs ignore the bitmap of a task state that is marked busy, as it is after a
// restore.
#define FLAGS_OF_RING_3 0x3202

.section .multiboot, "a", @progbits
.balign 4
    .long MULTIBOOT_MAGIC
    .long MULTIBOOT_FLAGS
    .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

.section .note.pvh, "a", @note
.balign 4
    .long 4, 4, PVH_NOTE_TYPE
    .asciz "Xen"
    .long start

// Both loaders enter here: 32-bit protected mode, paging off, EBX points at what the loader has
// to tell. EAX says which of them it was.
.section .boot, "ax", @progbits
.code32
.global start
start:
    cld
    mov %eax, boot_magic
    mov %ebx, boot_information
    mov $0xff, %al                      // the old interrupt controllers stay silent
    out %al, $0x21
    out %al, $0xa1

// Further CPUs join here, see trampoline.S. Which CPU this is stands in entry_cpu.
.global enter_long_mode
enter_long_mode:
    mov $TABLES_PML4, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $CR4_PAE, %eax
    mov %eax, %cr4
    mov $MSR_EFER, %ecx
    rdmsr
    or $EFER_LONG_MODE, %eax
    wrmsr
    mov %cr0, %eax
    and $~CR0_CACHE_OFF, %eax
    or $(CR0_PAGING | CR0_WRITE_PROTECT | CR0_PROTECTED), %eax
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $SELECTOR_KERNEL_CODE, $start64

.code64
start64:
    lidt idt_pointer
    mov entry_cpu, %edi
    mov %edi, %eax
    shl $4, %eax
    add $SELECTOR_TASK_STATES, %eax
    ltr %ax
    mov $SELECTOR_KERNEL_DATA, %eax
    mov %eax, %ss
    mov $SELECTOR_USER_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %edi, %esp                      // the top of this CPU's page
    shl $12, %esp
    add $(cpu_pages + CPU_PAGE_SIZE), %esp
    push $SELECTOR_USER_DATA
    push entry_stack
    push $FLAGS_OF_RING_3
    push $SELECTOR_USER_CODE
    push $cpu_entry                     // runtime.cpp; EDI is its argument
    iretq

.section .data
.balign 8
.global boot_magic, boot_information, entry_cpu, entry_stack
boot_magic: .long 0
boot_information: .long 0
entry_cpu: .long 0
.balign 8
entry_stack: .quad first_stack_top - 8  // as a `call` would leave it: 8 below a multiple of 16

.section .bss
.balign 16
.type first_stack, @object
first_stack:
    .skip 0x8000
.size first_stack, . - first_stack
first_stack_top:

.section .note.GNU-stack, "", @progbits

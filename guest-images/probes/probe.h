// SPDX-License-Identifier: Apache-2.0
// Assembly, which the formatter takes for C++:
// clang-format off
//
// What the probes share: headers by which a loader knows them, and words for COM1 and the debug-exit port. Probes are
// assembly throughout, because what they look at is gone as soon as a runtime has set the machine up as it likes it.
#pragma once

.set COM1, 0x3f8
.set DEBUG_EXIT, 0xf4

/// Multiboot 1, no flags.
.macro multiboot_header
  .align 4
  .long 0x1badb002, 0, -0x1badb002
.endm

/// The note that Xen's PVH protocol enters by (type 18: the 32-bit entry point).
.macro pvh_note entry
  .pushsection .note.pvh, "a", @note
  .align 4
  .long 4, 4, 18
  .asciz "Xen"
  .long \entry
  .popsection
.endm

/// Prints one character. AX and DX are changed.
.macro print_char char
  movw $COM1, %dx
  movb $\char, %al
  outb %al, %dx
.endm

/// Prints a text of any length. RSI (or SI), AX and DX are changed; needs DS.
.macro print_text pointer, label
  movw $COM1, %dx
88:
  movb (\pointer), %al
  testb %al, %al
  jz 89f
  outb %al, %dx
  inc \pointer
  jmp 88b
89:
.endm

/// Ends the machine with exit code value * 2 + 1, and never goes on.
.macro leave value
  movb $\value, %al
  movw $DEBUG_EXIT, %dx
  outb %al, %dx
87:
  jmp 87b
.endm

/// From 32-bit protected mode to long mode at `target`, on page tables that map the first GiB to itself for all rings.
/// Needs `descriptors`, `descriptors_end` and the stack in place.
.macro enter_long_mode target
  movl $page_map + 0x1007, page_map
  movl $page_map + 0x2007, page_map + 0x1000
  movl $page_map + 0x2000, %edi
  movl $0x87, %eax                // present, writable, user, 2 MiB
86:
  movl %eax, (%edi)
  addl $0x200000, %eax
  addl $8, %edi
  cmpl $page_map + 0x3000, %edi
  jb 86b
  movl $page_map, %eax
  movl %eax, %cr3
  movl %cr4, %eax
  orl $0x20, %eax                 // PAE
  movl %eax, %cr4
  movl $0xc0000080, %ecx          // EFER
  rdmsr
  orl $0x100, %eax                // LME
  wrmsr
  movl %cr0, %eax
  orl $0x80000001, %eax           // PG, PE
  movl %eax, %cr0
  lgdt descriptors_pointer
  ljmp $0x08, $\target
.endm

/// Descriptors: null, ring-0 64-bit code (0x08), ring-0 data (0x10), ring-3 data (0x1b), ring-3 64-bit code (0x23);
/// page tables; stack.
.macro long_mode_data
  .data
  .align 8
descriptors:
  .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff, 0x00cff2000000ffff, 0x00affa000000ffff
descriptors_pointer:
  .word . - descriptors - 1
  .long descriptors
  .bss
  .align 4096
page_map:
  .skip 0x3000
  .skip 4096
stack_top:
.endm

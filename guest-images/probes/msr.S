// SPDX-License-Identifier: Apache-2.0
//
// Reads every model-specific register of the ranges that processors and hypervisors use, one by one. Most are not
// there: each of those must fault, and nothing else may happen. Those that are there are written back as they were.
#include "guest-images/probes/probe.h"

.text
  multiboot_header
  pvh_note start

.globl start
.code32
start:
  cli
  movl $stack_top, %esp
  enter_long_mode in_long_mode

.code64
in_long_mode:
  movw $0x10, %ax
  movw %ax, %ds
  movw %ax, %ss
  movl $stack_top, %esp

  // All vectors lead to `unexpected`, but for the general protection fault.
  xorl %ebx, %ebx
  movl $vectors, %edi
1:
  movl $unexpected, %eax
  cmpl $13, %ebx
  jne 2f
  movl $general_protection, %eax
2:
  movw %ax, (%rdi)
  movw $0x08, 2(%rdi)
  movw $0x8e00, 4(%rdi)           // interrupt gate, present
  shrl $16, %eax
  movl %eax, 6(%rdi)
  addl $16, %edi
  incl %ebx
  cmpl $32, %ebx
  jb 1b
  movl $vectors_pointer, %eax
  lidt (%rax)

  movl $ranges, %ebp
next_range:
  movl (%rbp), %ecx               // first register
  movl 4(%rbp), %ebx              // how many
  testl %ebx, %ebx
  jz finished
  xorl %r8d, %r8d                 // how many were there
3:
  xorl %r9d, %r9d                 // becomes 1 when it faults
  rdmsr
  testl %r9d, %r9d
  jnz 4f
  incl %r8d
  wrmsr                           // may fault as well: some can only be read
4:
  incl %ecx
  decl %ebx
  jnz 3b
  movl $text_range, %esi
  print_text %rsi
  movl (%rbp), %eax
  call print_hex
  movl $text_there, %esi
  print_text %rsi
  movl %r8d, %eax
  call print_hex
  print_char '\n'
  addl $8, %ebp
  jmp next_range

finished:
  testl %r8d, %r8d                // the last range is one in which there are none
  jnz unexpected
  movl $verdict, %esi
  print_text %rsi
  leave 0

/// RDMSR and WRMSR have two bytes.
general_protection:
  addq $8, %rsp
  addq $2, (%rsp)
  movl $1, %r9d
  iretq

unexpected:
  movl $text_broken, %esi
  print_text %rsi
  leave 1

/// EAX, in hexadecimal. Changes EAX, EDX, EDI and R10.
print_hex:
  movl %eax, %edi
  movl $8, %r10d
5:
  roll $4, %edi
  movl %edi, %eax
  andl $15, %eax
  movb digits(%eax), %al
  movw $COM1, %dx
  outb %al, %dx
  decl %r10d
  jnz 5b
  ret

  long_mode_data
.data
vectors_pointer:
  .word 32 * 16 - 1
  .long vectors, 0
/// The local APIC's (0x800) are left out: writing its registers back starts what they say.
ranges:
  .long 0x00000000, 0x800
  .long 0x00000900, 0x1700
  .long 0x40000000, 0x200         // Hyper-V's
  .long 0x4b564d00, 0x100         // KVM's
  .long 0xc0000000, 0x2000
  .long 0xc0010000, 0x2000
  .long 0xdeadbe00, 0x100         // nobody's
  .long 0, 0
.section .rodata
digits:
  .ascii "0123456789abcdef"
text_range:
  .asciz "MSR from="
text_there:
  .asciz " there="
verdict:
  .asciz "MSR OK\n"
text_broken:
  .asciz "MSR BROKEN an exception that is no general protection fault, or a register that cannot be there\n"
.bss
.align 16
vectors:
  .skip 32 * 16

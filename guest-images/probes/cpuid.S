// SPDX-License-Identifier: Apache-2.0
//
// Prints what CPUID shows in ring 0: `CPUID leaf.subleaf eax ebx ecx edx`, all in hexadecimal. (In ring 3 a host
// without hardware virtualization shows its own.)
#include "guest-images/probes/probe.h"

.text
  multiboot_header
  pvh_note start

.globl start
.code32
start:
  cli
  movl $stack_top, %esp
  movl $leaves, %ebp
next:
  movl (%ebp), %eax
  movl 4(%ebp), %ecx
  cmpl $-1, %eax
  je finished
  cpuid
  pushl %edx
  pushl %ecx
  pushl %ebx
  pushl %eax
  movl $text_cpuid, %esi
  print_text %esi
  movl (%ebp), %eax
  call print_hex
  print_char '.'
  movl 4(%ebp), %eax
  call print_hex
  movl $4, %ebx
1:
  print_char ' '
  popl %eax
  call print_hex
  decl %ebx
  jnz 1b
  print_char '\n'
  addl $8, %ebp
  jmp next

finished:
  movl $verdict, %esi
  print_text %esi
  leave 0

/// EAX, in hexadecimal. Changes EAX, ECX, EDX and EDI.
print_hex:
  movl %eax, %edi
  movl $8, %ecx
2:
  roll $4, %edi
  movl %edi, %eax
  andl $15, %eax
  movb digits(%eax), %al
  movw $COM1, %dx
  outb %al, %dx
  decl %ecx
  jnz 2b
  ret

.data
leaves:
  .long 0x1, 0, 0x7, 0, 0x12, 0, 0x40000000, 0, 0x40000001, 0, 0x80000001, 0, 0x8000000a, 0, 0x8000001f, 0, -1
.section .rodata
digits:
  .ascii "0123456789abcdef"
text_cpuid:
  .asciz "CPUID "
verdict:
  .asciz "CPUID OK\n"
.bss
.align 16
.skip 4096
stack_top:

// SPDX-License-Identifier: Apache-2.0
//
// Ring 3 with IOPL 3 and no task state of its own: does its port I/O reach the ports, in the first moment and after a
// while in which the host has interrupted the processor many times?
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
  movl $stack_top, %eax
  pushq $0x1b
  pushq %rax
  pushq $0x3002                   // IOPL 3, interrupts off
  pushq $0x23
  movl $ring_3, %eax
  pushq %rax
  iretq

ring_3:
  movl $20, %ebx
again:
  call spin
  print_char '.'
  decl %ebx
  jnz again

  // The lowest port and the highest: they are at the ends of a task state's bitmap.
  inb $0x00, %al
  movw $0xffff, %dx
  inb %dx, %al

  movl $verdict, %esi
  print_text %rsi
  leave 0

/// 50 million cycles.
spin:
  rdtsc
  movl %eax, %ecx
1:
  rdtsc
  subl %ecx, %eax
  cmpl $50000000, %eax
  jb 1b
  ret

  long_mode_data
.section .rodata
verdict:
  .asciz "\nIOPL OK\n"

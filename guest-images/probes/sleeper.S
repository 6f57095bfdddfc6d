// SPDX-License-Identifier: Apache-2.0
//
// Sleeps with interrupts on, and with no handler for any: whatever comes unasked ends the machine.
#include "guest-images/probes/probe.h"

.text
  pvh_note start

.globl start
.code32
start:
  movl $stack_top, %esp
  movl $greeting, %esi
  print_text %esi
  sti
1:
  hlt
  movl $text_broken, %esi
  print_text %esi
  jmp 1b

.section .rodata
greeting:
  .asciz "SLEEPER\n"
text_broken:
  .asciz "SLEEPER BROKEN something came\n"
.bss
.align 16
.skip 4096
stack_top:

// SPDX-License-Identifier: Apache-2.0
//
// A multiboot kernel that goes back to real mode, where a BIOS has been before it. Software interrupts run through the
// vectors that it found, with hardware interrupts off and on; then it sleeps, and the timer that the firmware left
// running wakes it. It programs no PIC, no timer and no IDT register. No PVH note: that protocol knows no BIOS.
#include "guest-images/probes/probe.h"

.set REAL_MODE, 0x8000            // where the real-mode part goes: low memory, out of everybody's way
.set INTERRUPTS, 500              // with each vector
.set TICK_COUNT, 0x46c            // in the BIOS data area

.text
  multiboot_header

.globl start
.code32
start:
  cli
  cld
  movl $real_mode, %esi
  movl $REAL_MODE, %edi
  movl $real_mode_end - real_mode, %ecx
  rep movsb
  lgdt descriptors_pointer
  ljmp $0x08, $REAL_MODE

/// An address of the real-mode part, once it has been copied.
#define HERE(label) (REAL_MODE + (label - real_mode))

.code16
real_mode:
  movw $0x10, %ax                 // segments with a limit of 64 KiB
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movl %cr0, %eax
  andb $0xfe, %al
  movl %eax, %cr0
  ljmp $0, $HERE(in_real_mode)
in_real_mode:
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movw $REAL_MODE, %sp

  call raise_all
  sti
  call raise_all
  movw $HERE(text_interrupts), %si
  print_text %si

  // Nothing but the timer can end this.
  movl TICK_COUNT, %ebx
1:
  hlt
  movl TICK_COUNT, %eax
  subl %ebx, %eax
  cmpl $2, %eax
  jb 1b

  // A program's own hook in the tick, as in the days of the PC.
  movw $HERE(hook), 0x1c * 4
  movw $0, 0x1c * 4 + 2
2:
  hlt
  cmpw $2, HERE(hooked)
  jb 2b
  movw $HERE(verdict), %si
  print_text %si
  leave 0

/// Two vectors, many times. (None from 0x80 on: KVM's instruction emulator takes those for negative numbers.)
raise_all:
  movw $HERE(count), 0x11 * 4
  movw $0, 0x11 * 4 + 2
  movw $HERE(count), 0x60 * 4
  movw $0, 0x60 * 4 + 2
  movw $0, HERE(counted)
  movw $INTERRUPTS, %cx
3:
  int $0x11
  int $0x60
  decw %cx
  jnz 3b
  cmpw $2 * INTERRUPTS, HERE(counted)
  jne broken
  ret

broken:
  movw $HERE(text_broken), %si
  print_text %si
  leave 1

count:
  incw %cs:HERE(counted)
  iret
hook:
  incw %cs:HERE(hooked)
  iret

counted:
  .word 0
hooked:
  .word 0
text_interrupts:
  .asciz "REALMODE interrupts\n"
verdict:
  .asciz "REALMODE OK\n"
text_broken:
  .asciz "REALMODE BROKEN not every software interrupt reached its handler\n"
real_mode_end:

.data
.align 8
descriptors:
  .quad 0, 0x00009a000000ffff, 0x000092000000ffff
descriptors_pointer:
  .word . - descriptors - 1
  .long descriptors

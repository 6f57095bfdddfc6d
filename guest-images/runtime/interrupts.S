// SPDX-License-Identifier: Apache-2.0
//
// All that ever happens in ring 0 once the machine runs: count the interrupt, tell the local
// APIC, go back. Everything else is done in ring 3 by whoever looks at the counters.

#include "guest-images/runtime/layout.h"

#define HLT_OPCODE 0xf4

// An interrupt: one more in this CPU's counter for the vector, and in its counter of all of them.
// These are exactly the STUB_SIZE bytes that there are.
.macro stub_interrupt vector
    push %rax
    mov %rsp, %rax
    and $-CPU_PAGE_SIZE & 0xffff, %ax
    incq 8 * \vector(%rax)
    incq (%rax)
    mov $LAPIC_EOI, %eax
    movl $0, (%rax)
    pop %rax
    iretq
.endm

// An exception: for the payload it is the end.
.macro stub_exception vector
    .if (1 << \vector) & 0x60227d00 == 0
        push $0                         // where the CPU pushes no error code
    .endif
    push $\vector
    jmp exception
.endm

.section .stubs, "ax", @progbits
.code64
.set vector, 0
.rept 256
    .org STUB_SIZE * vector
    .if vector == VECTOR_PROTECTION_FAULT
        jmp protection_fault
    .elseif vector < 32
        stub_exception vector
    .elseif vector == VECTOR_SPURIOUS
        iretq
    .else
        stub_interrupt vector
    .endif
    .set vector, vector + 1
.endr
    .org STUB_SIZE * 256

.section .text

// `hlt` from ring 3, which the processor refuses. Ring 0 does it instead: sleep until an interrupt,
// unless the 64-bit word at RDI no longer holds RSI. Interrupts are off up to the halt, so that
// none can slip in between. (A software interrupt would be the usual door, but not every host
// lets a guest's ring 3 execute one.)
protection_fault:
    push %rax
    mov 16(%rsp), %rax
    cmpb $HLT_OPCODE, (%rax)
    pop %rax
    jne not_a_halt
    add $8, %rsp                        // the error code
    incq (%rsp)                         // go on behind the instruction
    cmp %rsi, (%rdi)
    jne 1f
    sti
    hlt
1:  iretq
not_a_halt:
    push $VECTOR_PROTECTION_FAULT

// Leaves a note of what happened, and continues in ring 3 with report_exception().
exception:
    cmpb $0, exception_seen             // a second one: no trust left in anything
    jne give_up
    movb $1, exception_seen
    pop exception_vector
    pop exception_error
    mov (%rsp), %rax
    mov %rax, exception_rip
    mov 24(%rsp), %rax
    mov %rax, exception_rsp
    mov %cr2, %rax
    mov %rax, exception_address
    movq $report_exception, (%rsp)
    movq $SELECTOR_USER_CODE, 8(%rsp)
    movq $last_stack_top - 8, 24(%rsp)
    movq $SELECTOR_USER_DATA, 32(%rsp)
    iretq
give_up:
    mov $0x7f, %al
    out %al, $DEBUG_EXIT_PORT
    cli
    hlt
    jmp give_up

.section .data
.global exception_vector, exception_error, exception_rip, exception_rsp, exception_address
.balign 8
exception_vector: .quad 0
exception_error: .quad 0
exception_rip: .quad 0
exception_rsp: .quad 0
exception_address: .quad 0
exception_seen: .byte 0

.section .bss
.balign 16
.type last_stack, @object
last_stack:
    .skip 0x2000
.size last_stack, . - last_stack
last_stack_top:

.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where interrupts and exceptions enter, and the way to ring 3 and back.
 */
#include "tests/guest/lib/selectors.h"

/* Vectors for which the processor pushes an error code (SDM vol. 3A, table 6-1). */
#define HAS_ERROR_CODE(v) ((v) == 8 || ((v) >= 10 && (v) <= 14) || (v) == 17 || (v) == 21)

#define STUB_BYTES  16
#define RFLAGS_ONE  0x2
#define USER_STACK_BYTES 4096

	.text
	.balign STUB_BYTES
	.global trap_stubs
trap_stubs:
	.set vector, 0
	.rept 256
	.balign STUB_BYTES
	.if !HAS_ERROR_CODE(vector)
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

	/* Below what the processor pushed: error code, vector; the rest of struct trap_frame here. */
trap_common:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rbx
	pushq %rbp
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	movq %rsp, %rbp
	andq $-16, %rsp
	call trap_dispatch
	movq %rbp, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rbp
	popq %rbx
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

	/* uint64_t user_run(uint64_t (*function)(void *), void *argument) */
	.global user_run
user_run:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, user_return_stack(%rip)
	leaq user_stack_top(%rip), %rax
	pushq $SELECTOR_USER_DATA
	pushq %rax
	pushq $RFLAGS_ONE
	pushq $SELECTOR_USER_CODE
	leaq user_start(%rip), %rax
	pushq %rax
	iretq

user_start:
	movq %rdi, %rax
	movq %rsi, %rdi
	call *%rax
	int $VECTOR_LEAVE_USER

	/* The gate of VECTOR_LEAVE_USER: back into user_run() with ring 3's RAX as its result. */
	.global user_leave
user_leave:
	movq user_return_stack(%rip), %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

	.bss
	.balign 16
user_return_stack:
	.skip 16
	.skip USER_STACK_BYTES
user_stack_top:

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry points of all 256 vectors: make the stack look the same for each, then call trap_handle()
 */

/* Vectors for which the processor pushes an error code (SDM vol. 3A, table 6-1; APM: 29, 30). */
#define ERROR_CODE_VECTORS ((1 << 8) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | \
			    (1 << 17) | (1 << 21) | (1 << 29) | (1 << 30))

	.text
	.balign 16
	.globl trap_stubs /* 16 bytes each; trap.c computes their addresses */
trap_stubs:
	vector = 0
	.rept 32
	.balign 16
	.if !((ERROR_CODE_VECTORS >> vector) & 1)
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	vector = vector + 1
	.endr
	.rept 256 - 32
	.balign 16
	pushq $0
	pushq $vector
	jmp trap_common
	vector = vector + 1
	.endr

/* The order is that of struct trap_frame. 22 words in all, so the call finds an aligned stack. */
	.balign 16
trap_common:
	cld
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
	movq %rsp, %rdi
	call trap_handle
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
	addq $16, %rsp /* vector, error code */
	iretq

	.section .note.GNU-stack, "", @progbits

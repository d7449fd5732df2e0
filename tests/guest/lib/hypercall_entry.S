/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A call with every register under control: void call_vmcall(struct call_regs *), and the same
 * with VMMCALL. Only moves, pushes and pops around the call: they leave the flags alone.
 */

#define REGS_RAX    0
#define REGS_RCX    8
#define REGS_RDX    16
#define REGS_RBX    24
#define REGS_RBP    32
#define REGS_RSI    40
#define REGS_RDI    48
#define REGS_R8	    56
#define REGS_R9	    64
#define REGS_R10    72
#define REGS_R11    80
#define REGS_R12    88
#define REGS_R13    96
#define REGS_R14    104
#define REGS_R15    112
#define REGS_RFLAGS 120

	.macro CALL_FUNCTION name, insn
	.global \name
\name:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %rdi
	pushq REGS_RFLAGS(%rdi)
	popfq
	movq REGS_RAX(%rdi), %rax
	movq REGS_RCX(%rdi), %rcx
	movq REGS_RDX(%rdi), %rdx
	movq REGS_RBX(%rdi), %rbx
	movq REGS_RBP(%rdi), %rbp
	movq REGS_RSI(%rdi), %rsi
	movq REGS_R8(%rdi), %r8
	movq REGS_R9(%rdi), %r9
	movq REGS_R10(%rdi), %r10
	movq REGS_R11(%rdi), %r11
	movq REGS_R12(%rdi), %r12
	movq REGS_R13(%rdi), %r13
	movq REGS_R14(%rdi), %r14
	movq REGS_R15(%rdi), %r15
	movq REGS_RDI(%rdi), %rdi
	\insn
	pushq %rdi
	movq 8(%rsp), %rdi
	movq %rax, REGS_RAX(%rdi)
	movq %rcx, REGS_RCX(%rdi)
	movq %rdx, REGS_RDX(%rdi)
	movq %rbx, REGS_RBX(%rdi)
	movq %rbp, REGS_RBP(%rdi)
	movq %rsi, REGS_RSI(%rdi)
	movq %r8, REGS_R8(%rdi)
	movq %r9, REGS_R9(%rdi)
	movq %r10, REGS_R10(%rdi)
	movq %r11, REGS_R11(%rdi)
	movq %r12, REGS_R12(%rdi)
	movq %r13, REGS_R13(%rdi)
	movq %r14, REGS_R14(%rdi)
	movq %r15, REGS_R15(%rdi)
	popq REGS_RDI(%rdi)
	pushfq
	popq REGS_RFLAGS(%rdi)
	cld
	popq %rdi
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret
	.endm

	.text
	CALL_FUNCTION call_vmcall, vmcall
	CALL_FUNCTION call_vmmcall, vmmcall

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world switch, and the hypercall's short way
 *
 * GIF is clear from CLGI to STGI: interrupts, NMIs and SMIs wait. That makes it safe to call C with
 * the guest's FS, GS and TR still loaded - VMLOAD and VMSAVE would cost more than all the rest of a
 * hypercall - since nothing in the hypervisor uses them but the stack switch of NMI, #MC and #DF.
 * RFLAGS.IF is set meanwhile: with V_INTR_MASKING it decides whether a host interrupt ends the
 * guest's run (APM vol. 2, 15.21.1). It is set long before VMRUN, because on some CPUs the
 * interrupt shadow of an STI right in front of it would leak into the guest.
 *
 * VMRUN itself switches RAX, RSP, RIP, RFLAGS, CS, SS, DS, ES, GDTR, IDTR, CR0, CR3, CR4 and EFER
 * (15.5.1, 15.6), so RAX and RSP are the host's right after it.
 *
 * Speculation (docs/security.md): what a CPU asks for is in variants of the whole, of which one is
 * chosen at boot, so that no branch decides about it. The RETs of a hypercall take what CALLs after
 * the exit have put on the return stack; the guest's entries could be used by the first one beyond
 * those, at the end of .Lleave, and are overwritten there.
 *
 * Documents: APM vol. 2, chapter 15 "Secure Virtual Machine".
 */
#include "arch/x86_64/cpu/mitigations.h"
#include "arch/x86_64/cpu/msr.h"
#include "arch/x86_64/svm/vmcb.h"
#include "asm_offsets.h"

/* Stack of svm_enter_N, from RSP up */
#define FRAME_VCPU	0
#define FRAME_HOST_AREA 8
#define FRAME_SIZE	24 /* 6 registers, this, and the return address: RSP is a multiple of 16 */

	.text

/* SPEC_CTRL := the guest's value, with \bits set too. RDI: the vCPU. Clobbers RAX, RCX, RDX. */
.macro write_spec_ctrl bits=0
	movl	VCPU_SPEC_CTRL(%rdi), %eax
	.if	\bits
	orl	$\bits, %eax
	.endif
	movl	$MSR_SPEC_CTRL, %ecx
	xorl	%edx, %edx
	wrmsr
.endm

/* Calls that are never returned from; speculation stops at INT3. */
.macro fill_rsb
	.rept	RSB_ENTRIES
	call	9f
	int3
9:
	.endr
	addq	$8 * RSB_ENTRIES, %rsp
	lfence
.endm

.macro world_switch variant
	.type svm_enter_\variant, @function
	.balign 64
svm_enter_\variant:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$FRAME_SIZE, %rsp
	movq	%rdi, FRAME_VCPU(%rsp)
	movq	%rsi, FRAME_HOST_AREA(%rsp)

	clgi
	sti
	movq	VCPU_CONTROL_PA(%rdi), %rax
	vmload	%rax

	/* RDI: the vCPU */
.Lenter_\variant:
	.if	(\variant) & SWITCH_IBRS
	write_spec_ctrl
	.endif
	movq	VCPU_CONTROL_PA(%rdi), %rax
	movq	VCPU_RCX(%rdi), %rcx
	movq	VCPU_RDX(%rdi), %rdx
	movq	VCPU_RBX(%rdi), %rbx
	movq	VCPU_RBP(%rdi), %rbp
	movq	VCPU_RSI(%rdi), %rsi
	movq	VCPU_R8(%rdi), %r8
	movq	VCPU_R9(%rdi), %r9
	movq	VCPU_R10(%rdi), %r10
	movq	VCPU_R11(%rdi), %r11
	movq	VCPU_R12(%rdi), %r12
	movq	VCPU_R13(%rdi), %r13
	movq	VCPU_R14(%rdi), %r14
	movq	VCPU_R15(%rdi), %r15
	movq	VCPU_RDI(%rdi), %rdi

	vmrun	%rax

	movq	FRAME_VCPU(%rsp), %rax
	movq	%rcx, VCPU_RCX(%rax)
	movq	%rdx, VCPU_RDX(%rax)
	movq	%rbx, VCPU_RBX(%rax)
	movq	%rbp, VCPU_RBP(%rax)
	movq	%rsi, VCPU_RSI(%rax)
	movq	%rdi, VCPU_RDI(%rax)
	movq	%r8, VCPU_R8(%rax)
	movq	%r9, VCPU_R9(%rax)
	movq	%r10, VCPU_R10(%rax)
	movq	%r11, VCPU_R11(%rax)
	movq	%r12, VCPU_R12(%rax)
	movq	%r13, VCPU_R13(%rax)
	movq	%r14, VCPU_R14(%rax)
	movq	%r15, VCPU_R15(%rax)

	/*
	 * No value of the guest's choice stays in a register, where mispredicted code could use it
	 * as an address. RAX, RBX, RDI and RSI are loaded below before anything reads them.
	 */
	xorl	%ecx, %ecx
	xorl	%edx, %edx
	xorl	%ebp, %ebp
	xorl	%esi, %esi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	movq	%rax, %rdi
	movq	VCPU_CONTROL(%rdi), %rbx
	.if	(\variant) & SWITCH_IBRS
	write_spec_ctrl SPEC_CTRL_IBRS
	.endif

	cmpl	$VMEXIT_VMMCALL, VMCB_EXIT_CODE(%rbx)
	jne	.Lleave_\variant

	/* hypercall_fast(vcpu, cpl) reads and answers arch.gpr[]; RAX is in the VMCB. */
	movq	VMCB_RAX(%rbx), %rax
	movzbl	VMCB_CPL(%rbx), %esi
	movq	%rax, VCPU_RAX(%rdi)
	call	hypercall_fast
	movq	FRAME_VCPU(%rsp), %rdi
	testb	%al, %al
	jz	.Lleave_\variant
	movq	VCPU_RAX(%rdi), %rax
	incq	VCPU_FAST_CALLS(%rdi)
	movq	%rax, VMCB_RAX(%rbx)
	addq	$VMMCALL_LENGTH, VMCB_RIP(%rbx)
	/* The instruction is over: so is an STI's shadow, and an event injected before it. */
	movq	$0, VMCB_INTERRUPT_SHADOW(%rbx)
	movq	$0, VMCB_EVENT_INJ(%rbx)
	jmp	.Lenter_\variant

.Lleave_\variant:
	.if	(\variant) & SWITCH_RSB
	fill_rsb
	.endif
	movq	VCPU_CONTROL_PA(%rdi), %rax
	vmsave	%rax
	movq	FRAME_HOST_AREA(%rsp), %rax
	vmload	%rax
	cli
	stgi

	addq	$FRAME_SIZE, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	int3
	.size svm_enter_\variant, . - svm_enter_\variant
.endm

	world_switch 0
	world_switch 1
	world_switch 2
	world_switch 3

/* By number */
	.section .rodata
	.balign 8
	.globl svm_switches
svm_switches:
	.quad	svm_enter_0, svm_enter_1, svm_enter_2, svm_enter_3

	.section .note.GNU-stack, "", @progbits

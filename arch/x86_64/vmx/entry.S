/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Into the guest and out again, and the whole path of a hypercall.
 *
 * On the host stack while the guest runs, from the top down:
 *
 *	return address of vmx_enter()
 *	RBP RBX R12 R13 R14 R15		what C wants back
 *	the vCPU			HOST_RSP points here, 16-byte aligned: vmx_exit may call C
 *
 * The processor has left these for us (SDM vol. 3C, "Loading Host State"): RIP, RSP, segment
 * registers, CR0, CR3, CR4, EFER, RFLAGS = 2 (interrupts off, DF clear). General registers, CR2,
 * vector registers and debug registers 0 to 6 are still the guest's.
 *
 * Speculation: every general register that C is not given is cleared before C runs, so that no
 * value of the guest's choosing sits where a mispredicted branch could use it as an address. RSB
 * stuffing, IBRS and VERW, where a CPU asks for them, belong at the two marked places.
 */
#include "asm_offsets.h"
#include "arch/x86_64/vmx/fields.h"

	.text

/* Guest registers from the vCPU in RDI, itself last. No flag changes. */
.macro load_guest_registers
	mov	VCPU_RAX(%rdi), %rax
	mov	VCPU_RCX(%rdi), %rcx
	mov	VCPU_RDX(%rdi), %rdx
	mov	VCPU_RBX(%rdi), %rbx
	mov	VCPU_RBP(%rdi), %rbp
	mov	VCPU_RSI(%rdi), %rsi
	mov	VCPU_R8(%rdi), %r8
	mov	VCPU_R9(%rdi), %r9
	mov	VCPU_R10(%rdi), %r10
	mov	VCPU_R11(%rdi), %r11
	mov	VCPU_R12(%rdi), %r12
	mov	VCPU_R13(%rdi), %r13
	mov	VCPU_R14(%rdi), %r14
	mov	VCPU_R15(%rdi), %r15
	mov	VCPU_RDI(%rdi), %rdi
.endm

/* uint32_t vmx_enter(struct vcpu *vcpu) */
	.globl	vmx_enter
	.type	vmx_enter, @function
vmx_enter:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi

	/* The stack is nearly always as deep as the last time. */
	cmp	%rsp, VCPU_HOST_SP(%rdi)
	je	1f
	mov	%rsp, VCPU_HOST_SP(%rdi)
	mov	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax		/* were this to fail, so would the entry, and that is seen */
1:
	cmpq	$0, VCPU_LAUNCHED(%rdi)
	load_guest_registers
	je	2f
	/* Speculation, way in: VERW would be here and before the other VMRESUME. */
	vmresume
	jmp	enter_failed
2:
	vmlaunch
	jmp	enter_failed
	.size	vmx_enter, . - vmx_enter

/*
 * HOST_RIP. The instructions between here and VMRESUME are what a hypercall costs beside
 * hypercall_fast() itself: tests/bench counts them.
 */
	.globl	vmx_exit
	.type	vmx_exit, @function
	.balign	64
vmx_exit:
	push	%rdi
	mov	8(%rsp), %rdi		/* the vCPU */
	pop	VCPU_RDI(%rdi)
	mov	%rax, VCPU_RAX(%rdi)
	mov	%rcx, VCPU_RCX(%rdi)
	mov	%rdx, VCPU_RDX(%rdi)
	mov	%rbx, VCPU_RBX(%rdi)
	mov	%rbp, VCPU_RBP(%rdi)
	mov	%rsi, VCPU_RSI(%rdi)
	mov	%r8, VCPU_R8(%rdi)
	mov	%r9, VCPU_R9(%rdi)
	mov	%r10, VCPU_R10(%rdi)
	mov	%r11, VCPU_R11(%rdi)
	mov	%r12, VCPU_R12(%rdi)
	mov	%r13, VCPU_R13(%rdi)
	mov	%r14, VCPU_R14(%rdi)
	mov	%r15, VCPU_R15(%rdi)
	/* RAX and RSI get values of ours just below. */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%ebx, %ebx
	xor	%ebp, %ebp
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
	/* Speculation, way out: RSB stuffing and IBRS would be here. */

	mov	$VMCS_EXIT_REASON, %eax
	mov	$VMCS_GUEST_SS_ATTR, %esi
	vmread	%rax, %rax
	cmp	$EXIT_REASON_VMCALL, %eax
	jne	leave

	/*
	 * Only ring 0 is served here. Other rings get -EPERM by the slow path, which also handles
	 * RIP wrapping at 4 GiB: an application could place a VMCALL at the end of a 32-bit code
	 * segment, and the next VM entry would fail. A kernel that does so hurts itself only.
	 */
	vmread	%rsi, %rsi
	and	$ATTR_DPL, %esi
	jnz	leave
	call	hypercall_fast		/* (vcpu, 0) */
	mov	(%rsp), %rdi

	/*
	 * Behind the VMCALL. The length is not always 3: prefixes may lengthen it. Two things that
	 * the end of an instruction does are left out, because each costs a VMREAD here:
	 * - The single-step trap: with RFLAGS.TF set it comes one instruction late.
	 * - Ending an interrupt shadow: in STI; VMCALL it ends one instruction late. Together with
	 *   TF the processor refuses that state; failure.c repairs it and enters again.
	 */
	mov	$VMCS_GUEST_RIP, %eax
	mov	$VMCS_EXIT_INSN_LEN, %ecx
	vmread	%rax, %rdx
	vmread	%rcx, %rcx
	add	%rcx, %rdx
	vmwrite	%rdx, %rax
	incq	VCPU_FAST_CALLS(%rdi)
	load_guest_registers
	vmresume

enter_failed:
	/* Guest registers are in arch.gpr still; what is in the processor now is forgotten. */
	mov	$VMX_ENTER_FAILED, %eax
leave:
	add	$8, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.size	vmx_exit, . - vmx_exit

	.section .note.GNU-stack, "", @progbits

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
 * value of the guest's choosing sits where a mispredicted branch could use it as an address. What
 * else a CPU may ask for (docs/security.md) is in variants of the whole, of which one is chosen at
 * boot: no branch decides about it, which could be mispredicted.
 *
 * The return stack may hold the guest's entries. Each RET of a hypercall takes what a CALL after
 * the exit has put there; the first RET without such a CALL is the one at the end of leave, and so
 * the return stack is filled there, on the only way to it.
 */
#include "asm_offsets.h"
#include "arch/x86_64/cpu/mitigations.h"
#include "arch/x86_64/cpu/msr.h"
#include "arch/x86_64/vmx/fields.h"

	.section .rodata
verw_selector:
	.word	ASM_SELECTOR_DATA

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

/* SPEC_CTRL := the guest's value, with \bits set too. RDI: the vCPU. Clobbers RAX, RCX, RDX. */
.macro write_spec_ctrl bits=0
	mov	VCPU_SPEC_CTRL(%rdi), %eax
	.if	\bits
	or	$\bits, %eax
	.endif
	mov	$MSR_SPEC_CTRL, %ecx
	xor	%edx, %edx
	wrmsr
.endm

/* The way in, before registers are loaded. RDI: the vCPU. Clobbers RAX, RCX, RDX and flags. */
.macro prepare_entry variant
	.if	(\variant) & SWITCH_CLEAR
	cmpb	$0, mitigations_flush_l1d(%rip)
	je	9f
	mov	$MSR_FLUSH_CMD, %ecx
	mov	$FLUSH_CMD_L1D, %eax
	xor	%edx, %edx
	wrmsr
9:
	.endif
	.if	(\variant) & SWITCH_IBRS
	write_spec_ctrl
	.endif
.endm

/* The way in, last of all: nothing of the host's is loaded or stored any more. */
.macro clear_buffers variant
	.if	(\variant) & SWITCH_CLEAR
	verw	verw_selector(%rip)
	.endif
.endm

/* Fill the return stack with calls that were never returned from; speculation stops at INT3. */
.macro fill_rsb
	.rept	RSB_ENTRIES
	call	9f
	int3
9:
	.endr
	add	$8 * RSB_ENTRIES, %rsp
	lfence
.endm

.macro world_switch variant
/* uint32_t vmx_enter_N(struct vcpu *vcpu) */
	.type	vmx_enter_\variant, @function
vmx_enter_\variant:
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
	prepare_entry \variant
	cmpq	$0, VCPU_LAUNCHED(%rdi)
	load_guest_registers
	je	2f
	clear_buffers \variant
	vmresume
	jmp	.Lenter_failed_\variant
2:
	clear_buffers \variant
	vmlaunch
	jmp	.Lenter_failed_\variant
	.size	vmx_enter_\variant, . - vmx_enter_\variant

/*
 * HOST_RIP. The instructions between here and VMRESUME are what a hypercall costs beside
 * hypercall_fast() itself: tests/bench counts them.
 */
	.type	vmx_exit_\variant, @function
	.balign	64
vmx_exit_\variant:
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
	.if	(\variant) & SWITCH_IBRS
	write_spec_ctrl SPEC_CTRL_IBRS
	.endif

	mov	$VMCS_EXIT_REASON, %eax
	mov	$VMCS_GUEST_SS_ATTR, %esi
	vmread	%rax, %rax
	cmp	$EXIT_REASON_VMCALL, %eax
	jne	.Lleave_\variant

	/*
	 * Only ring 0 is served here. Other rings get -EPERM by the slow path, which also handles
	 * RIP wrapping at 4 GiB: an application could place a VMCALL at the end of a 32-bit code
	 * segment, and the next VM entry would fail. A kernel that does so hurts itself only.
	 */
	vmread	%rsi, %rsi
	and	$ATTR_DPL, %esi
	jnz	.Lleave_\variant
	call	hypercall_fast		/* (vcpu, 0) */
	mov	(%rsp), %rdi
	test	%al, %al
	jz	.Lnot_here_\variant

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
	prepare_entry \variant
	load_guest_registers
	clear_buffers \variant
	vmresume

.Lenter_failed_\variant:
	/* Guest registers are in arch.gpr still; what is in the processor now is forgotten. */
	.if	(\variant) & SWITCH_IBRS
	mov	(%rsp), %rdi
	write_spec_ctrl SPEC_CTRL_IBRS
	.endif
	mov	$VMX_ENTER_FAILED, %eax
	jmp	.Lleave_\variant
.Lnot_here_\variant:
	mov	$EXIT_REASON_VMCALL, %eax
.Lleave_\variant:
	.if	(\variant) & SWITCH_RSB
	fill_rsb
	.endif
	add	$8, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	int3			/* nor is anything behind it run speculatively */
	.size	vmx_exit_\variant, . - vmx_exit_\variant
.endm

	world_switch 0
	world_switch 1
	world_switch 2
	world_switch 3
	world_switch 4
	world_switch 5
	world_switch 6
	world_switch 7

/* By number: struct vmx_switch */
	.section .rodata
	.balign	8
	.globl	vmx_switches
vmx_switches:
	.irp	variant, 0, 1, 2, 3, 4, 5, 6, 7
	.quad	vmx_enter_\variant, vmx_exit_\variant
	.endr

	.section .note.GNU-stack, "", @progbits

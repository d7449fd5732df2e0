/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where another CPU starts: in real mode, at the first byte of a page below 1 MiB
 *
 * arch/x86_64/cpu/smp.c copies this there and fills trampoline_args in. The CPU goes to 64-bit
 * mode in one step (paging, protection and long mode at once), then to the image.
 *
 * Source: SDM vol. 3A, sections 8.4.4 and 9.8.5.
 */
#include "asm_offsets.h"
#include "arch/x86_64/cpu/msr.h"

#define HERE(symbol) (symbol - trampoline_start)

/* Offsets in struct trampoline_args. */
#define ARGS_FAR_POINTER  0
#define ARGS_GDT_POINTER  6
#define ARGS_STARTUP_ROOT 12
#define ARGS_ROOT	  16
#define ARGS_STACK	  24
#define ARGS_ENTRY	  32
#define ARGS_SIZE	  40

	.section .rodata
	.balign 16
	.globl trampoline_start, trampoline_end, trampoline_args, trampoline_64
	.globl trampoline_gdt, trampoline_gdt_end
trampoline_start:
	.code16
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	movzwl %ax, %ebx
	shll $4, %ebx /* where this page is */

	lgdtl HERE(trampoline_args) + ARGS_GDT_POINTER
	movl $ASM_CR4_PAE, %eax
	movl %eax, %cr4
	movl HERE(trampoline_args) + ARGS_STARTUP_ROOT, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	xorl %edx, %edx
	movl $(ASM_EFER_LME | ASM_EFER_NXE), %eax
	wrmsr
	movl $ASM_CR0_HOST, %eax
	movl %eax, %cr0
	ljmpl *(HERE(trampoline_args) + ARGS_FAR_POINTER)

	.code64
trampoline_64:
	movl %ebx, %ebx
	movl $ASM_SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	/* A CPU that was given up may come when the next one is awaited: only one gets the stack. */
	xorl %eax, %eax
	xchgq %rax, (HERE(trampoline_args) + ARGS_STACK)(%rbx)
	testq %rax, %rax
	jz 1f
	movq %rax, %rsp
	movq (HERE(trampoline_args) + ARGS_ENTRY)(%rbx), %rdi
	movq (HERE(trampoline_args) + ARGS_ROOT)(%rbx), %rsi
	movabsq $secondary_entry64, %rax
	jmp *%rax
1:	cli
	hlt
	jmp 1b

	.balign 8
trampoline_gdt: /* SELECTOR_CODE, SELECTOR_DATA */
	.quad 0
	.long 0, ASM_DESCRIPTOR_CODE_HIGH
	.long 0, ASM_DESCRIPTOR_DATA_HIGH
trampoline_gdt_end:

	.balign 8
trampoline_args:
	.skip ARGS_SIZE
trampoline_end:

/* secondary_entry64 - in the image: %rdi: the C function; %rsi: the final page tables */
	.text
secondary_entry64:
	movq %rsi, %cr3
	xorl %ebp, %ebp
	pushq $0 /* the backtrace ends here */
	jmp *%rdi

	.section .note.GNU-stack, "", @progbits

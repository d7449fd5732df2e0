/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where another CPU starts: real mode, in a copy of the first part below 1 MiB, with CS at its
 * beginning; then long mode with the tables of start.S.
 */
#include "tests/guest/lib/selectors.h"

#define CR0_PE	     (1 << 0)
#define CR0_CACHE    (3 << 29)	/* CD and NW: set since power-on */
#define CR0_PG_BIT   31
#define CR4_PAE_BIT  5
#define MSR_EFER     0xc0000080
#define EFER_LME_BIT 8
#define STACK_BYTES  16384

	.section .rodata
	.code16
	.global smp_trampoline, smp_trampoline_end
smp_trampoline:
	cli
	movw %cs, %ax
	movw %ax, %ds
	lgdtl table - smp_trampoline
	movl %cr0, %eax
	andl $~CR0_CACHE, %eax
	orl $CR0_PE, %eax
	movl %eax, %cr0
	ljmpl $SELECTOR_CODE32, $smp_start32
table:
	.word SELECTOR_TSS + 15		/* the last byte of its last entry */
	.long gdt
smp_trampoline_end:

	.text
	.code32
smp_start32:
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %cr4, %eax
	btsl $CR4_PAE_BIT, %eax
	movl %eax, %cr4
	movl $page_root, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	btsl $EFER_LME_BIT, %eax
	wrmsr
	movl %cr0, %eax
	btsl $CR0_PG_BIT, %eax
	movl %eax, %cr0
	ljmp $SELECTOR_CODE, $smp_start64

	.code64
smp_start64:
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	leaq stack_top(%rip), %rsp
	xorl %ebp, %ebp
	call smp_main
1:	cli
	hlt
	jmp 1b

	.bss
	.balign 16
	.skip STACK_BYTES
stack_top:

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the PVH entry (32-bit protected mode, no paging, start info at EBX) or the Multiboot 1 entry
 * (the same but for what EBX points to, and EAX) to C in long mode with the first 4 GiB mapped to
 * themselves, devices included, everything open to ring 3.
 * Documents: Xen docs/misc/pvh.pandoc; Multiboot Specification 0.6.96, section 3.2; SDM vol. 3A,
 * "Initializing IA-32e Mode".
 */
#include "tests/guest/lib/selectors.h"

#define PTE_PRESENT_WRITE_USER 0x07
#define PTE_LARGE	       0x80
#define TABLE_BYTES	       4096
#define MAPPED_GIB	       4
#define PAGES_MAPPED	       (MAPPED_GIB * 512)
#define LARGE_PAGE	       0x200000

#define CR0_PG_BIT   31
#define CR4_PAE_BIT  5
#define MSR_EFER     0xc0000080
#define EFER_LME_BIT 8

#define STACK_BYTES 32768

	.section .text.start, "ax"
	.code32
	.global start_multiboot
start_multiboot:
	movl %eax, multiboot_magic
	movl %ebx, multiboot_info
	xorl %ebx, %ebx			/* no start info */

	.global start32
start32:
	cld
	movl %ebx, %esi			/* the start info, until C takes it */

	movl $page_directories, %edi	/* four directories of 2 MiB pages */
	movl $(PTE_PRESENT_WRITE_USER | PTE_LARGE), %eax
	movl $PAGES_MAPPED, %ecx
1:	movl %eax, (%edi)
	movl $0, 4(%edi)
	addl $LARGE_PAGE, %eax
	addl $8, %edi
	decl %ecx
	jnz 1b

	movl $page_pointers, %edi	/* the table above them */
	movl $(page_directories + PTE_PRESENT_WRITE_USER), %eax
	movl $MAPPED_GIB, %ecx
2:	movl %eax, (%edi)
	addl $TABLE_BYTES, %eax
	addl $8, %edi
	decl %ecx
	jnz 2b
	movl $(page_pointers + PTE_PRESENT_WRITE_USER), page_root

	movl $page_root, %eax
	movl %eax, %cr3
	movl %cr4, %eax
	btsl $CR4_PAE_BIT, %eax
	movl %eax, %cr4
	movl $MSR_EFER, %ecx
	rdmsr
	btsl $EFER_LME_BIT, %eax
	wrmsr
	movl %cr0, %eax
	btsl $CR0_PG_BIT, %eax
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $SELECTOR_CODE, $start64

	.code64
start64:
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	leaq stack_top(%rip), %rsp
	xorl %ebp, %ebp
	movl %esi, %edi
	call guest_main
3:	cli
	hlt
	jmp 3b

	.data
	.balign 8
	.global gdt
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff	/* SELECTOR_CODE32: ring 0 */
	.quad 0x00af9b000000ffff	/* SELECTOR_CODE: 64-bit, ring 0 */
	.quad 0x00cf93000000ffff	/* SELECTOR_DATA */
	.quad 0x00cff3000000ffff	/* SELECTOR_USER_DATA */
	.quad 0x00affb000000ffff	/* SELECTOR_USER_CODE: 64-bit, ring 3 */
	.quad 0, 0			/* SELECTOR_TSS: trap_init() fills it */
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt

	.bss
	.balign TABLE_BYTES
	.global page_root
page_root:
	.skip TABLE_BYTES
page_pointers:
	.skip TABLE_BYTES
page_directories:
	.skip MAPPED_GIB * TABLE_BYTES
	.skip STACK_BYTES
stack_top:

	.section .note.GNU-stack, "", @progbits

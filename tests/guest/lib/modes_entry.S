/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Out of 64-bit mode, through the others, and back: see modes.h. All addresses are below 4 GiB.
 * Documents: SDM vol. 3A, "Switching Modes", "Virtual-8086 Mode"; vol. 3A, "Leaving IA-32e Mode".
 */
#include "tests/guest/lib/modes_selectors.h"
#include "tests/guest/lib/selectors.h"

#define CR0_PE_BIT   0
#define CR0_AM_BIT   18
#define CR0_PG_BIT   31
#define MSR_EFER     0xc0000080
#define EFER_LME_BIT 8
#define RFLAGS_ONE   0x2
#define RFLAGS_VM    0x20000
#define RFLAGS_AC    0x40000
#define IVT_ENTRIES  256
#define REAL_VECTOR  0x21

#define MARK_COMPAT    0x01
#define MARK_PROTECTED 0x02
#define MARK_PAE       0x04
#define MARK_V86       0x08
#define MARK_REAL      0x10

#define LOW(label) (MODES_LOW + (label) - modes_low)

	.macro CR0_SET bit
	movl %cr0, %eax
	btsl $\bit, %eax
	movl %eax, %cr0
	.endm

	.macro CR0_CLEAR bit
	movl %cr0, %eax
	btrl $\bit, %eax
	movl %eax, %cr0
	.endm

	.macro FLAT_DATA
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	.endm

	/* From 64-bit to compatibility mode with the tables of modes.c. */
	.macro LEAVE_64 target
	cli
	call modes_prepare
	lgdt gdt_pointer
	pushq $SELECTOR_CODE32
	leaq \target(%rip), %rax
	pushq %rax
	lretq
	.endm

	/* From compatibility to protected mode, without paging. */
	.macro LEAVE_LONG
	FLAT_DATA
	CR0_CLEAR CR0_PG_BIT
	movl $MSR_EFER, %ecx
	rdmsr
	btrl $EFER_LME_BIT, %eax
	wrmsr
	lidt idt_pointer
	movl $MODES_TSS, %eax
	ltr %ax
	.endm

	.text
	.code64
	.global modes_tour
modes_tour:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushfq
	movq %rsp, saved_rsp(%rip)
	sgdt saved_gdt
	sidt saved_idt
	movl $0, marks
	LEAVE_64 tour32

	.code32
tour32:
	orl $MARK_COMPAT, marks
	LEAVE_LONG
	orl $MARK_PROTECTED, marks
	movl $modes_pae_top, %eax
	movl %eax, %cr3
	CR0_SET CR0_PG_BIT
	orl $MARK_PAE, marks
	CR0_CLEAR CR0_PG_BIT

	pushl $0			/* GS, FS, DS, ES of virtual-8086 mode */
	pushl $0
	pushl $0
	pushl $0
	pushl $0			/* SS:SP */
	pushl $MODES_LOW
	pushl $(RFLAGS_VM | RFLAGS_ONE)
	pushl $(MODES_LOW >> 4)		/* CS:IP */
	pushl $(low_v86 - modes_low)
	iretl

	/* The exception that HLT raises there arrives here. */
	.global modes_v86_ended
modes_v86_ended:
	FLAT_DATA
	movl $LOW(low_v86_mark), %ebx
	cmpb $1, (%ebx)
	jne 1f
	orl $MARK_V86, marks
1:	ljmp $MODES_CODE16, $LOW(low_protected)

	/* Back from real mode. */
tour_back32:
	FLAT_DATA
	movl $LOW(low_real_mark), %ebx
	cmpb $1, (%ebx)
	jne 1f
	orl $MARK_REAL, marks
1:	movl $page_root, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	btsl $EFER_LME_BIT, %eax
	wrmsr
	CR0_SET CR0_PG_BIT
	ljmp $SELECTOR_CODE, $tour_back64

	.code64
tour_back64:
	lgdt saved_gdt
	lidt saved_idt
	movl $SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	andb $0xfd, gdt + SELECTOR_TSS + 5	/* no longer busy */
	movl $SELECTOR_TSS, %eax
	ltr %ax
	movq saved_rsp(%rip), %rsp
	popfq
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	movl marks, %eax
	ret

	.global modes_task_jump, modes_task_gate, modes_alignment_storm
modes_task_jump:
	LEAVE_64 jump32
	.code32
jump32:
	LEAVE_LONG
	ljmp $MODES_OTHER_TSS, $0

	/* Where the other task starts. */
	.global modes_task_entered
modes_task_entered:
	cli
	hlt

	.code64
modes_task_gate:
	LEAVE_64 gate32
	.code32
gate32:
	LEAVE_LONG
	int $MODES_TASK_VECTOR

	.code64
modes_alignment_storm:
	LEAVE_64 storm32
	.code32
storm32:
	LEAVE_LONG
	CR0_SET CR0_AM_BIT
	movl %esp, %ebx
	pushl $SELECTOR_USER_DATA
	leal -511(%ebx), %ecx		/* not aligned */
	pushl %ecx
	pushl $(RFLAGS_AC | RFLAGS_ONE)
	pushl $MODES_USER_CODE32
	pushl $storm_user
	iretl
storm_user:
	movl %eax, (%esp)
	/* The handler is in ring 3 as well, on the same stack: its own delivery faults. */
	.global modes_alignment
modes_alignment:
	jmp modes_alignment

	/* Copied to MODES_LOW. */
	.section .rodata
	.code16
	.global modes_low, modes_low_end
modes_low:
low_protected:
	movw $MODES_DATA16, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw %ax, %fs
	movw %ax, %gs
	CR0_CLEAR CR0_PE_BIT
	ljmp $(MODES_LOW >> 4), $(low_real - modes_low)
low_real:
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $MODES_LOW, %sp
	lidtl %cs:(low_ivt - modes_low)
	movw $(low_interrupt - modes_low), REAL_VECTOR * 4
	movw $(MODES_LOW >> 4), REAL_VECTOR * 4 + 2
	int $REAL_VECTOR
	lgdtl %cs:(low_gdt - modes_low)
	CR0_SET CR0_PE_BIT
	ljmpl $SELECTOR_CODE32, $tour_back32
low_interrupt:
	movb $1, %cs:(low_real_mark - modes_low)
	iretw
low_v86:
	movb $1, %cs:(low_v86_mark - modes_low)
	hlt
low_ivt:
	.word 4 * IVT_ENTRIES - 1
	.long 0
low_gdt:
	.word 8 * MODES_GDT_ENTRIES - 1
	.long modes_gdt
low_v86_mark:
	.byte 0
low_real_mark:
	.byte 0
modes_low_end:

	.data
	.balign 8
gdt_pointer:
	.word 8 * MODES_GDT_ENTRIES - 1
	.quad modes_gdt
	.balign 8
idt_pointer:
	.word 8 * MODES_IDT_ENTRIES - 1
	.quad modes_idt

	.bss
	.balign 16
saved_rsp:
	.skip 8
saved_gdt:
	.skip 16
saved_idt:
	.skip 16
marks:
	.skip 4

	.section .note.GNU-stack, "", @progbits

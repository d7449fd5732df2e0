/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the boot loader's 32-bit hand-over to init() in 64-bit mode
 *
 * GRUB may have put the image anywhere below 4 GiB (2 MiB-aligned), so the 32-bit part reaches
 * everything relative to %ebp, the image's first byte. The early page tables map the first 4 GiB
 * twice, one to one and as the direct map, and the image at IMAGE_BASE; paging_init() replaces
 * them.
 *
 * Source: Multiboot2 Specification 2.0, sections 3.1 and 3.3; SDM vol. 3A, section 9.8.5.
 */
#include "asm_offsets.h"
#include "arch/x86_64/cpu/msr.h"

#define OFFSET(symbol) (symbol - ASM_IMAGE_BASE)

#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define MULTIBOOT2_ARCH_I386	0

#define TAG_END			0
#define TAG_INFORMATION_REQUEST 1
#define TAG_FRAMEBUFFER		5
#define TAG_MODULE_ALIGN	6
#define TAG_RELOCATABLE		10
#define TAG_OPTIONAL		1

#define INFO_CMDLINE	 1
#define INFO_MODULE	 3
#define INFO_MEMORY_MAP	 6
#define INFO_RSDP_OLD	 14
#define INFO_RSDP_NEW	 15

#define RELOCATE_LOWEST 1

/* Where the loader may put the image; below it lies what real-mode firmware uses. */
#define LOAD_MIN   0x200000
#define LOAD_MAX   0xffffffff
#define LOAD_ALIGN 0x200000

	.section .multiboot, "ax"
	.balign 8
multiboot2_header:
	.long MULTIBOOT2_HEADER_MAGIC
	.long MULTIBOOT2_ARCH_I386
	.long multiboot2_header_end - multiboot2_header
	.long -(MULTIBOOT2_HEADER_MAGIC + MULTIBOOT2_ARCH_I386 + (multiboot2_header_end - multiboot2_header))

	.balign 8
	.short TAG_INFORMATION_REQUEST, 0
	.long 16
	.long INFO_MEMORY_MAP, INFO_MODULE

	/* What can be missing is asked for politely: GRUB refuses to boot over the others. */
	.balign 8
	.short TAG_INFORMATION_REQUEST, TAG_OPTIONAL
	.long 20
	.long INFO_CMDLINE, INFO_RSDP_NEW, INFO_RSDP_OLD

	/*
	 * Any framebuffer will do, and the text mode as well: a menu that sets gfxpayload=text
	 * spares GRUB the mode switch, over which it stumbles on some machines.
	 */
	.balign 8
	.short TAG_FRAMEBUFFER, TAG_OPTIONAL
	.long 20
	.long 0, 0, 0 /* width, height, depth: no preference */

	.balign 8
	.short TAG_MODULE_ALIGN, 0
	.long 8

	.balign 8
	.short TAG_RELOCATABLE, 0
	.long 24
	.long LOAD_MIN, LOAD_MAX, LOAD_ALIGN, RELOCATE_LOWEST

	.balign 8
	.short TAG_END, 0
	.long 8
multiboot2_header_end:

/*
 * entry32 - %eax: the loader's magic; %ebx: address of the boot information
 * Protected mode, flat segments, no paging, no stack.
 */
	.section .text
	.code32
	.globl entry32
entry32:
	cli
	cld
	movl %eax, %esi

	/*
	 * Where are we? A call tells, but needs four bytes of stack: the boot information's
	 * reserved second word lends them.
	 */
	movl 4(%ebx), %edx
	leal 8(%ebx), %esp
	call 1f
1:	popl %ebp
	movl %edx, 4(%ebx)
	subl $OFFSET(1b), %ebp
	leal OFFSET(boot_stack_top)(%ebp), %esp
	pushl %ebx

	movl $0x80000000, %eax
	cpuid
	movl $0x80000001, %edx
	cmpl %edx, %eax
	jb no_long_mode
	movl %edx, %eax
	cpuid
	andl $(ASM_CPUID_LM | ASM_CPUID_NX), %edx
	cmpl $(ASM_CPUID_LM | ASM_CPUID_NX), %edx
	jne no_long_mode
	popl %ebx

	call build_early_tables

	movl %cr4, %eax
	orl $ASM_CR4_PAE, %eax
	movl %eax, %cr4
	leal OFFSET(boot_pml4)(%ebp), %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $(ASM_EFER_LME | ASM_EFER_NXE), %eax
	wrmsr
	movl $ASM_CR0_HOST, %eax
	movl %eax, %cr0

	/* A far return into the 64-bit code segment, still at the low address. */
	leal OFFSET(boot_gdt)(%ebp), %eax
	pushl $0
	pushl %eax
	pushw $(boot_gdt_end - boot_gdt - 1)
	lgdt (%esp)
	addl $10, %esp
	pushl $ASM_SELECTOR_CODE
	leal OFFSET(entry64_low)(%ebp), %eax
	pushl %eax
	lret

/* Fills the early page tables, which the loader has zeroed with the rest of .bss. Uses eax-edi. */
build_early_tables:
	pushl %ebx
	pushl %esi

	leal (OFFSET(boot_pdpt) + ASM_PTE_TABLE)(%ebp), %eax
	movl %eax, OFFSET(boot_pml4)(%ebp)		    /* one to one */
	movl %eax, (OFFSET(boot_pml4) + 256 * 8)(%ebp)	    /* DIRECT_MAP_BASE */
	leal (OFFSET(boot_pdpt_image) + ASM_PTE_TABLE)(%ebp), %eax
	movl %eax, (OFFSET(boot_pml4) + 511 * 8)(%ebp)	    /* IMAGE_BASE */
	leal (OFFSET(boot_pd_image) + ASM_PTE_TABLE)(%ebp), %eax
	movl %eax, (OFFSET(boot_pdpt_image) + 510 * 8)(%ebp)

	leal (OFFSET(boot_pd) + ASM_PTE_TABLE)(%ebp), %eax
	xorl %ecx, %ecx
1:	movl %eax, OFFSET(boot_pdpt)(%ebp, %ecx, 8)
	addl $0x1000, %eax
	incl %ecx
	cmpl $4, %ecx
	jb 1b

	movl $ASM_PTE_BLOCK, %eax
	xorl %ecx, %ecx
1:	movl %eax, OFFSET(boot_pd)(%ebp, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $(4 * 512), %ecx
	jb 1b

	leal ASM_PTE_BLOCK(%ebp), %eax
	xorl %ecx, %ecx
1:	movl %eax, OFFSET(boot_pd_image)(%ebp, %ecx, 8)
	addl $0x200000, %eax
	incl %ecx
	cmpl $16, %ecx /* 32 MiB, as linker.ld asserts */
	jb 1b

	popl %esi
	popl %ebx
	ret

/* Says the one sentence that can be said this early, on the first serial port, and halts. */
no_long_mode:
	movw $0x3fb, %dx /* line control: 8 bits, no parity, 1 stop bit */
	movb $3, %al
	outb %al, %dx
	leal OFFSET(no_long_mode_text)(%ebp), %esi
1:	lodsb
	testb %al, %al
	jz 3f
	movb %al, %bl
	movl $0x10000, %ecx /* an absent port never gets ready */
	movw $0x3fd, %dx
2:	inb %dx, %al
	testb $0x20, %al
	loopz 2b
	movw $0x3f8, %dx
	movb %bl, %al
	outb %al, %dx
	jmp 1b
3:	hlt
	jmp 3b

	.code64
entry64_low:
	movabsq $entry64, %rax
	jmp *%rax

entry64:
	movl $ASM_SELECTOR_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl %ebp, %ebp /* the upper half is undefined after the mode switch */
	movl %ebx, %ebx
	movq %rbp, image_load_base
	lgdt boot_gdt_pointer
	movq $boot_stack_top, %rsp
	movl %esi, %edi /* magic */
	movl %ebx, %esi /* boot information */
	call seed_stack_guard
	xorl %ebp, %ebp /* the backtrace ends here */
	pushq $0
	jmp init

/*
 * Gives the compiler's stack protector its secret before the first C function uses it. The lowest
 * byte stays zero, so that no string copy can write or read past it. Keeps edi and esi.
 */
seed_stack_guard:
	movl $1, %eax
	cpuid
	rdtsc
	shlq $32, %rdx
	orq %rdx, %rax
	movabsq $0x9e3779b97f4a7c15, %rdx /* spreads the TSC's few random bits */
	imulq %rdx, %rax
	btl $ASM_CPUID_RDRAND_BIT, %ecx
	jnc 1f
	rdrand %rdx
	xorq %rdx, %rax
1:	xorb %al, %al
	movq %rax, __stack_chk_guard
	ret

	.section .rodata
no_long_mode_text:
	.asciz "tidepool: this CPU has no 64-bit mode, or no no-execute pages; Tidepool needs both\r\n"

	.balign 8
boot_gdt: /* SELECTOR_CODE, SELECTOR_DATA */
	.quad 0
	.long 0, ASM_DESCRIPTOR_CODE_HIGH
	.long 0, ASM_DESCRIPTOR_DATA_HIGH
boot_gdt_end:
boot_gdt_pointer:
	.short boot_gdt_end - boot_gdt - 1
	.quad boot_gdt

	.section .bss
	.balign 0x1000
	.globl boot_pml4
boot_pml4:
	.skip 0x1000
boot_pdpt:
	.skip 0x1000
boot_pd:
	.skip 4 * 0x1000
boot_pdpt_image:
	.skip 0x1000
boot_pd_image:
	.skip 0x1000
	.globl boot_stack, boot_stack_top
boot_stack:
	.skip 0x4000
boot_stack_top:

	.globl image_load_base
image_load_base:
	.skip 8

	.section .note.GNU-stack, "", @progbits

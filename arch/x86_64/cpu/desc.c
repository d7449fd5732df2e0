/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/cpu/desc.h"
#include "arch/x86_64/cpu/cpu.h"

#define TSS_ACCESS_AVAILABLE 0x89ull /* present, DPL 0, 64-bit TSS, not busy */

/* A system descriptor takes two entries in long mode (SDM vol. 3A, figure 7-4). */
static void set_tss_descriptor(uint64_t entry[2], const struct tss *tss)
{
	uint64_t base = (uint64_t)tss, limit = sizeof(*tss) - 1;

	entry[0] = limit | (base & 0xffffff) << 16 | TSS_ACCESS_AVAILABLE << 40 |
		   (base >> 24 & 0xff) << 56;
	entry[1] = base >> 32;
}

static void load_segments(void)
{
	/* CS can only be changed by a far transfer. */
	__asm__ volatile("pushq %[code]\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tmovl %[data], %%ds\n\t"
			 "movl %[data], %%es\n\t"
			 "movl %[data], %%ss\n\t"
			 "movl %[null], %%fs\n\t"
			 "movl %[null], %%gs"
			 :
			 : [code] "i"(SELECTOR_CODE), [data] "r"(SELECTOR_DATA), [null] "r"(0)
			 : "rax", "memory");
}

void desc_load(struct desc_tables *tables, const uint64_t stack_tops[3])
{
	struct desc_pointer pointer = {
		.limit = sizeof(tables->gdt) - 1,
		.base = (uint64_t)tables->gdt,
	};

	tables->gdt[SELECTOR_CODE / 8] = DESCRIPTOR_CODE;
	tables->gdt[SELECTOR_DATA / 8] = DESCRIPTOR_DATA;
	set_tss_descriptor(&tables->gdt[SELECTOR_TSS / 8], &tables->tss);
	tables->tss.ist[IST_DOUBLE_FAULT - 1] = stack_tops[0];
	tables->tss.ist[IST_NMI - 1] = stack_tops[1];
	tables->tss.ist[IST_MACHINE_CHECK - 1] = stack_tops[2];
	tables->tss.io_map_base = sizeof(tables->tss); /* none */

	lgdt(&pointer);
	load_segments();
	lldt(0);
	ltr(SELECTOR_TSS);
}

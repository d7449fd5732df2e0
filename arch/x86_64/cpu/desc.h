/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segment descriptors and task state of one CPU
 *
 * Long mode needs little of them: one code segment, one data segment, and a task state whose only
 * use is the table of stacks for the exceptions that cannot trust the current one.
 * Source: SDM vol. 3A, "Task Management in 64-bit Mode"; APM vol. 2, section 12.2.5.
 */
#ifndef ARCH_CPU_DESC_H
#define ARCH_CPU_DESC_H

#include "core/types.h"

/* Selectors; the same on every CPU. The loaders of a control block's host state use them too. */
#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS  0x18

/* Accessed already, so that the processor never writes to the table. */
#define DESCRIPTOR_CODE 0x00209b0000000000 /* present, DPL 0, execute/read, 64-bit */
#define DESCRIPTOR_DATA 0x0000930000000000 /* present, DPL 0, read/write */

#define GDT_ENTRIES 5 /* null, code, data, and the TSS's two */

/* Interrupt stack table slots; 0 in a gate means the current stack. */
enum { IST_DOUBLE_FAULT = 1, IST_NMI = 2, IST_MACHINE_CHECK = 3 };

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7]; /* ist[n - 1] is the top of the stack that slot n names */
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map_base;
} __attribute__((packed));

_Static_assert(sizeof(struct tss) == 104, "the processor's layout");

struct desc_tables {
	uint64_t gdt[GDT_ENTRIES];
	struct tss tss;
};

/*
 * desc_load - fill this CPU's tables and load GDTR, the segment registers and TR from them
 * @tables:     in memory that stays; not read or written by anybody else
 * @stack_tops: of IST_DOUBLE_FAULT, IST_NMI and IST_MACHINE_CHECK, in that order
 * Context: the CPU that they are for. VMX shortens nothing of this: after a VM exit the limit of
 * GDTR is 0xffff, which only matters for selectors that nobody loads.
 */
void desc_load(struct desc_tables *tables, const uint64_t stack_tops[3]);

#endif

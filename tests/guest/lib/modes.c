/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables that modes_entry.S needs outside 64-bit mode.
 * Documents: SDM vol. 3A, "Segment Descriptors", "Task Management", "Gate Descriptors".
 */
#include "tests/guest/lib/modes.h"
#include "tests/guest/lib/modes_selectors.h"
#include "tests/guest/lib/selectors.h"
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/trap.h"

#define GATE_INTERRUPT32 0x8e00u
#define GATE_TASK	 0xe500u /* of ring 3 */
#define TSS32_AVAILABLE	 0x89ull
#define TSS32_BYTES	 104u
#define TSS32_ESP0	 1 /* in words */
#define TSS32_SS0	 2
#define TSS32_EIP	 8
#define TSS32_EFLAGS	 9
#define TSS32_ESP	 14
#define TSS32_ES	 18 /* and CS, SS, DS, FS, GS behind it */
#define VECTOR_AC	 17
#define PDPTE_COUNT	 4
#define ADDRESS_MASK	 0xfffffffffffff000ull

extern uint64_t gdt[], page_root[];
extern uint8_t modes_v86_ended[], modes_task_entered[], modes_alignment[], modes_low[],
	modes_low_end[];
void modes_prepare(void);

/* Known to modes_entry.S by their names. */
extern uint64_t modes_gdt[], modes_idt[], modes_pae_top[];
uint64_t modes_gdt[MODES_GDT_ENTRIES], modes_idt[MODES_IDT_ENTRIES];
uint64_t modes_pae_top[PDPTE_COUNT] __attribute__((aligned(32)));

static uint32_t tss[2][TSS32_BYTES / 4];
static uint32_t stacks[2][1024];

static void set_gate(unsigned int vector, uint16_t selector, const void *handler, uint32_t attr)
{
	uint64_t address = (uint64_t)handler;

	modes_idt[vector] = (address & 0xffff) | (uint64_t)selector << 16 |
			    (attr | (address & 0xffff0000)) << 32;
}

static void set_task(unsigned int index, uint16_t selector)
{
	uint64_t base = (uint64_t)tss[index];
	uint32_t *task = tss[index];

	modes_gdt[selector / 8] = (TSS32_BYTES - 1) | (base & 0xffffff) << 16 |
				  TSS32_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
	task[TSS32_ESP0] = task[TSS32_ESP] = (uint32_t)(uint64_t)(stacks[index] + 1024);
	task[TSS32_SS0] = SELECTOR_DATA;
	task[TSS32_EIP] = (uint32_t)(uint64_t)modes_task_entered;
	task[TSS32_EFLAGS] = 2;
	for (unsigned int i = 0; i < 6; i++)
		task[TSS32_ES + i] = SELECTOR_DATA;
	task[TSS32_ES + 1] = SELECTOR_CODE32;
}

void modes_prepare(void)
{
	const uint64_t *pointers = (const uint64_t *)(page_root[0] & ADDRESS_MASK);

	memcpy(modes_gdt, gdt, SELECTOR_TSS);
	modes_gdt[MODES_CODE16 / 8] = 0x00009b000000ffff;
	modes_gdt[MODES_DATA16 / 8] = 0x000093000000ffff;
	modes_gdt[MODES_USER_CODE32 / 8] = 0x00cffb000000ffff;
	set_task(0, MODES_TSS);
	set_task(1, MODES_OTHER_TSS);
	set_gate(VECTOR_GP, SELECTOR_CODE32, modes_v86_ended, GATE_INTERRUPT32);
	set_gate(VECTOR_AC, MODES_USER_CODE32, modes_alignment, GATE_INTERRUPT32);
	set_gate(MODES_TASK_VECTOR, MODES_OTHER_TSS, NULL, GATE_TASK);
	for (unsigned int i = 0; i < PDPTE_COUNT; i++)
		modes_pae_top[i] = (pointers[i] & ADDRESS_MASK) | 1;
	memcpy((void *)MODES_LOW, modes_low, (size_t)(modes_low_end - modes_low));
}

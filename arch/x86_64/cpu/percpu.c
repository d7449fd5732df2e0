/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/cpu/lz4.h"
#include "arch/x86_64/cpu/paging.h"
#include "core/frames.h"

_Static_assert(sizeof(struct pcpu) <= PAGE_SIZE, "its page is followed by a guard page");
_Static_assert(LZ4_STATE_SIZE <= PCPU_LZ4_PAGES * PAGE_SIZE, "the state fits its pages");
_Static_assert((PCPU_LZ4_STATE + PCPU_LZ4_PAGES) * PAGE_SIZE < PCPU_REGION_SIZE,
	       "a guard page at the end");

struct pcpu *pcpus[PCPU_MAX];
uint32_t pcpu_count;

static const struct {
	uint32_t first_page, pages;
} stacks[] = {
	{PCPU_DF_STACK, PCPU_IST_PAGES},
	{PCPU_NMI_STACK, PCPU_IST_PAGES},
	{PCPU_MC_STACK, PCPU_IST_PAGES},
	{PCPU_MAIN_STACK, PCPU_MAIN_PAGES},
};

static int map_pages(uint64_t region, uint32_t first, uint32_t count)
{
	for (uint32_t page = first; page < first + count; page++) {
		void *frame = frame_alloc();
		int err;

		if (!frame)
			return -1;
		err = paging_map_frame(region + page * PAGE_SIZE, virt_to_phys(frame));
		if (err < 0)
			return err;
	}
	return 0;
}

struct pcpu *percpu_create(uint32_t index, uint32_t apic_id)
{
	/* A CPU that failed to start may still come late, so its region is not used again. */
	static uint32_t created;
	struct pcpu *cpu;
	uint64_t region;

	if (created == PCPU_MAX)
		return NULL;
	region = PCPU_BASE + created++ * PCPU_REGION_SIZE;
	if (map_pages(region, PCPU_DATA_PAGE, 1) < 0)
		return NULL;
	for (unsigned int i = 0; i < ARRAY_SIZE(stacks); i++)
		if (map_pages(region, stacks[i].first_page, stacks[i].pages) < 0)
			return NULL;
	if (map_pages(region, PCPU_LZ4_STATE, PCPU_LZ4_PAGES) < 0)
		return NULL;

	cpu = (struct pcpu *)region;
	cpu->index = index;
	cpu->apic_id = apic_id;
	return cpu;
}

static uint64_t stack_top(const struct pcpu *cpu, uint32_t first_page, uint32_t pages)
{
	return (uint64_t)cpu + (first_page + pages) * PAGE_SIZE;
}

uint64_t percpu_stack_top(const struct pcpu *cpu)
{
	return stack_top(cpu, PCPU_MAIN_STACK, PCPU_MAIN_PAGES);
}

void *percpu_lz4_state(struct pcpu *cpu)
{
	return (char *)cpu + PCPU_LZ4_STATE * PAGE_SIZE;
}

void percpu_load_desc(void)
{
	struct pcpu *cpu = this_cpu();
	const uint64_t tops[] = {
		stack_top(cpu, PCPU_DF_STACK, PCPU_IST_PAGES),
		stack_top(cpu, PCPU_NMI_STACK, PCPU_IST_PAGES),
		stack_top(cpu, PCPU_MC_STACK, PCPU_IST_PAGES),
	};

	desc_load(&cpu->tables, tops);
}

bool percpu_is_stack(uint64_t address, uint64_t size)
{
	uint64_t offset = address % PCPU_REGION_SIZE;

	for (unsigned int i = 0; i < ARRAY_SIZE(stacks); i++)
		if (offset >= stacks[i].first_page * PAGE_SIZE &&
		    offset + size <= (stacks[i].first_page + stacks[i].pages) * PAGE_SIZE)
			return true;
	return false;
}

bool percpu_ready(void)
{
	uint64_t cpu = (uint64_t)this_cpu();

	return cpu >= PCPU_BASE && cpu < PCPU_BASE + PCPU_MAX * PCPU_REGION_SIZE;
}

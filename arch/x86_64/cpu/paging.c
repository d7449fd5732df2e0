/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds the address space that paging.h draws
 *
 * Documents: SDM vol. 3A, chapter 4; APM vol. 2, chapter 5. Four levels; 5-level paging is never on
 * when GRUB hands over, and 256 TiB are enough.
 */
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/memmap.h"
#include "boot/bootinfo.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/panic.h"
#include "core/string.h"

#define TABLE_ENTRIES	 512u
#define LEVEL_PAGE	 1u /* tables of 4 KiB pages */
#define LEVEL_BLOCK	 2u /* of 2 MiB */
#define LEVEL_GIB	 3u /* of 1 GiB */
#define LEVEL_TOP	 4u
#define LEVEL_SHIFT(l)	 (PAGE_SHIFT + 9u * ((l)-1u))
#define LEVEL_SIZE(l)	 (1ul << LEVEL_SHIFT(l))
#define LOW_HALF_ENTRIES 256u

/* Accessed and dirty from the start: the processor need not write to the tables. */
#define FLAGS_DATA (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_NO_EXECUTE)
#define FLAGS_TEXT (PTE_PRESENT | PTE_ACCESSED)
#define FLAGS_RO   (PTE_PRESENT | PTE_ACCESSED | PTE_NO_EXECUTE)
#define FLAGS_MMIO (FLAGS_DATA | PTE_CACHE_DISABLE | PTE_WRITE_THROUGH)

/* From linker.ld. */
extern const char text_start[], text_end[], rodata_start[], rodata_end[], data_start[], data_end[];

extern uint64_t boot_pml4[TABLE_ENTRIES]; /* boot/entry.S: the early top-level table */

static uint64_t *root;		       /* the final one */
static uint64_t mmio_next = MMIO_BASE; /* first address that no device has yet */

static uint32_t table_index(uint64_t va, uint32_t level)
{
	return va >> LEVEL_SHIFT(level) & (TABLE_ENTRIES - 1);
}

/* Returns the table that @entry points to, a new one when there is none; NULL without memory. */
static uint64_t *next_table(uint64_t *entry)
{
	void *table;

	if (*entry & PTE_PRESENT) {
		BUG_ON(*entry & PTE_LARGE);
		return phys_to_virt(*entry & PTE_ADDRESS);
	}
	table = frame_alloc();
	if (!table)
		return NULL;
	*entry = virt_to_phys(table) | PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	return table;
}

/* Maps one page of the size that @level says. */
static int map_one(uint64_t va, hpa_t pa, uint64_t flags, uint32_t level)
{
	uint64_t *table = root;

	for (uint32_t l = LEVEL_TOP; l > level; l--) {
		table = next_table(&table[table_index(va, l)]);
		if (!table)
			return -ENOMEM;
	}
	BUG_ON(table[table_index(va, level)] & PTE_PRESENT);
	table[table_index(va, level)] = pa | flags | (level > LEVEL_PAGE ? PTE_LARGE : 0);
	return 0;
}

/* Maps [pa, end) with the largest pages up to @max_level that fit. All are page-aligned. */
static int map_range(uint64_t va, hpa_t pa, hpa_t end, uint64_t flags, uint32_t max_level)
{
	while (pa < end) {
		uint32_t level = max_level;
		int err;

		while (level > LEVEL_PAGE &&
		       (!IS_ALIGNED(va | pa, LEVEL_SIZE(level)) || end - pa < LEVEL_SIZE(level)))
			level--;
		err = map_one(va, pa, flags, level);
		if (err < 0)
			return err;
		va += LEVEL_SIZE(level);
		pa += LEVEL_SIZE(level);
	}
	return 0;
}

static int map_image_part(const char *start, const char *end, uint64_t flags)
{
	return map_range((uint64_t)start, virt_to_phys(start), virt_to_phys(end), flags,
			 LEVEL_PAGE);
}

static int map_image(void)
{
	int err = map_image_part(text_start, text_end, FLAGS_TEXT);

	if (err == 0)
		err = map_image_part(rodata_start, rodata_end, FLAGS_RO);
	if (err == 0)
		err = map_image_part(data_start, data_end, FLAGS_DATA);
	return err;
}

static int map_ram(hpa_t base, uint64_t size)
{
	bool has_1g = cpuid_edx(0x80000001, 0) & CPUID_80000001_EDX_PAGE1G;
	hpa_t start = ALIGN_UP(base, PAGE_SIZE), end = ALIGN_DOWN(base + size, PAGE_SIZE);

	return map_range((uint64_t)phys_to_virt(start), start, end, FLAGS_DATA,
			 has_1g ? LEVEL_GIB : LEVEL_BLOCK);
}

int paging_init(const struct boot_info *boot)
{
	int err = -ENOMEM;

	root = frame_alloc();
	/* The top-level entries exist from now on, so that copies of the table see all mappings. */
	if (root && next_table(&root[table_index(MMIO_BASE, LEVEL_TOP)]) &&
	    next_table(&root[table_index(PCPU_BASE, LEVEL_TOP)]))
		err = map_image();
	if (err == 0)
		err = memmap_for_each_ram(boot, map_ram);
	if (err == 0)
		write_cr3(paging_root());
	return err;
}

hpa_t paging_root(void)
{
	return virt_to_phys(root);
}

int paging_map_frame(uint64_t va, hpa_t pa)
{
	return map_one(va, pa, FLAGS_DATA, LEVEL_PAGE);
}

void *paging_map_mmio(hpa_t pa, size_t size)
{
	hpa_t start = ALIGN_DOWN(pa, PAGE_SIZE), end = ALIGN_UP(pa + size, PAGE_SIZE);
	uint64_t va = mmio_next;

	if (end <= start || (end - 1) & ~PTE_ADDRESS & ~(PAGE_SIZE - 1))
		return NULL;
	mmio_next += end - start;
	if (map_range(va, start, end, FLAGS_MMIO, LEVEL_PAGE) < 0)
		return NULL;
	return (void *)(va + (pa - start));
}

hpa_t paging_startup_root(void)
{
	memcpy(&boot_pml4[LOW_HALF_ENTRIES], &root[LOW_HALF_ENTRIES],
	       (TABLE_ENTRIES - LOW_HALF_ENTRIES) * sizeof(uint64_t));
	return virt_to_phys(boot_pml4);
}

void paging_end_startup(void)
{
	memset(boot_pml4, 0, LOW_HALF_ENTRIES * sizeof(uint64_t));
}

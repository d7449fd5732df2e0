// SPDX-License-Identifier: GPL-2.0-only
/* The entries of all page frames: 12 bytes for 4096. See pagetable.h. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include "cache.h"

struct tidepool_table tidepool_table;

/* How many frames are looked at between two offers to schedule. */
#define TABLE_STEP 65536u

int tidepool_table_create(void)
{
	tidepool_table.frames = PHYS_PFN(__pa(high_memory));
	tidepool_table.entries = vzalloc(tidepool_table.frames * sizeof(*tidepool_table.entries));
	tidepool_table.owners = vzalloc(tidepool_table.frames * sizeof(*tidepool_table.owners));
	if (tidepool_table.entries && tidepool_table.owners)
		return 0;
	tidepool_table_destroy();
	return -ENOMEM;
}

void tidepool_table_destroy(void)
{
	vfree(tidepool_table.entries);
	vfree(tidepool_table.owners);
	tidepool_table.entries = NULL;
	tidepool_table.owners = NULL;
}

u64 tidepool_table_take(struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	/* A read first: most frames have no entry, and their cache lines stay shared. */
	if (!tidepool_table_has(pfn) || !atomic64_read(&tidepool_table.entries[pfn]))
		return 0;
	return atomic64_xchg(&tidepool_table.entries[pfn], 0);
}

bool tidepool_table_owns(struct page *page)
{
	return tidepool_table.owners[page_to_pfn(page)] == tidepool_page_owner(page_folio(page), page);
}

void tidepool_table_clear_folio(struct folio *folio)
{
	long count = folio_nr_pages(folio);
	long i;

	for (i = 0; i < count; i++)
		tidepool_table_take(folio_page(folio, i));
}

void tidepool_table_move_folio(struct folio *to, struct folio *from)
{
	long count = folio_nr_pages(from);
	long i;
	u64 entry;

	for (i = 0; i < count; i++) {
		unsigned long from_pfn = folio_pfn(from) + i;
		unsigned long to_pfn = folio_pfn(to) + i;

		entry = tidepool_table_take(folio_page(from, i));
		if (!tidepool_table_has(to_pfn))
			continue;
		if (entry)
			tidepool_table.owners[to_pfn] = tidepool_table.owners[from_pfn];
		smp_wmb(); /* as in tidepool_table_set() */
		atomic64_set(&tidepool_table.entries[to_pfn], entry);
		if (entry)
			tidepool_cache_add(moved, 1);
	}
}

void tidepool_table_forget_disk(unsigned int disk)
{
	unsigned long pfn;
	u64 entry;

	for (pfn = 0; pfn < tidepool_table.frames; pfn++) {
		entry = atomic64_read(&tidepool_table.entries[pfn]);
		if (entry && tidepool_entry_disk(entry) == disk)
			atomic64_cmpxchg(&tidepool_table.entries[pfn], entry, 0);
		if (!(pfn % TABLE_STEP))
			cond_resched();
	}
}

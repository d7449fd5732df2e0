// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is known of each page frame: 12 bytes for 4096. See cache.h.
 *
 * Locking: none. An entry is one word. The owner is written before the entry and read after it,
 * by those who have the page to themselves: it is locked, under writeback, or frozen.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/hash.h>
#include <linux/io.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include "cache.h"
#include "test.h"

static atomic64_t *entries;
static u32 *owners; /* a hash of mapping and index */
static unsigned long frames;

/* How many frames are looked at between two offers to schedule. */
#define TABLE_STEP 65536u

int tidepool_table_create(void)
{
	frames = PHYS_PFN(__pa(high_memory));
	entries = vzalloc(frames * sizeof(*entries));
	owners = vzalloc(frames * sizeof(*owners));
	if (entries && owners)
		return 0;
	tidepool_table_destroy();
	return -ENOMEM;
}

void tidepool_table_destroy(void)
{
	vfree(entries);
	vfree(owners);
	entries = NULL;
	owners = NULL;
}

static bool table_has(unsigned long pfn)
{
	return pfn < frames;
}

static u32 page_owner(struct page *page)
{
	struct folio *folio = page_folio(page);
	u64 index = folio->index + folio_page_idx(folio, page);

	return hash_64((u64)(unsigned long)folio->mapping ^ index * GOLDEN_RATIO_64, 32);
}

u64 tidepool_table_read(struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	return table_has(pfn) ? atomic64_read(&entries[pfn]) : 0;
}

void tidepool_table_set(struct page *page, u64 entry)
{
	unsigned long pfn = page_to_pfn(page);

	if (!table_has(pfn))
		return;
	owners[pfn] = page_owner(page);
	smp_wmb(); /* with the frame taken over by whoever sees the entry */
	atomic64_set(&entries[pfn], entry);
	smp_mb(); /* either we see the page dirty, or who makes it so sees the entry */
	if (folio_test_dirty(page_folio(page)) && tidepool_rule(TIDEPOOL_RULE_DIRTY))
		atomic64_set(&entries[pfn], 0);
}

bool tidepool_table_replace(struct page *page, u64 old, u64 new)
{
	unsigned long pfn = page_to_pfn(page);

	return table_has(pfn) && atomic64_cmpxchg(&entries[pfn], old, new) == old;
}

u64 tidepool_table_take(struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	/* A read first: most frames have no entry, and their cache lines stay shared. */
	if (!table_has(pfn) || !atomic64_read(&entries[pfn]))
		return 0;
	return atomic64_xchg(&entries[pfn], 0);
}

bool tidepool_table_owns(struct page *page)
{
	return owners[page_to_pfn(page)] == page_owner(page);
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
		if (!table_has(to_pfn))
			continue;
		if (entry)
			owners[to_pfn] = owners[from_pfn];
		smp_wmb(); /* as in tidepool_table_set() */
		atomic64_set(&entries[to_pfn], entry);
		if (entry)
			tidepool_cache_add(moved, 1);
	}
}

void tidepool_table_forget_disk(unsigned int disk)
{
	unsigned long pfn;
	u64 entry;

	for (pfn = 0; pfn < frames; pfn++) {
		entry = atomic64_read(&entries[pfn]);
		if (entry && tidepool_entry_disk(entry) == disk)
			atomic64_cmpxchg(&entries[pfn], entry, 0);
		if (!(pfn % TABLE_STEP))
			cond_resched();
	}
}

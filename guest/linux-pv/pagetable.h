/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of each page frame: an entry, {state, generation, disk, block}, and whose page the
 * frame was when that was written down. See cache.h for what it is good for.
 *
 * What each page of a bio needs is inline: a call for each costs a read from the disk 1 %.
 */
#ifndef TIDEPOOL_PV_PAGETABLE_H
#define TIDEPOOL_PV_PAGETABLE_H

#include <linux/atomic.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/types.h>

#include "test.h"

enum tidepool_state {
	TIDEPOOL_PAGE_NONE = 0,
	TIDEPOOL_PAGE_READING = 1,
	TIDEPOOL_PAGE_WRITING = 2,
	TIDEPOOL_PAGE_VALID = 3,
};

#define TIDEPOOL_BLOCK_BITS	 34
#define TIDEPOOL_DISK_BITS	 4
#define TIDEPOOL_GENERATION_BITS 24
#define TIDEPOOL_GENERATION_MASK ((1u << TIDEPOOL_GENERATION_BITS) - 1)
#define TIDEPOOL_DISKS		 (1u << TIDEPOOL_DISK_BITS)
#define TIDEPOOL_BLOCKS_MAX	 (1ull << TIDEPOOL_BLOCK_BITS)

/* A block of a disk in one word, as generations and entries know it: the disk's place, the block. */
static inline u64 tidepool_place(unsigned int disk, u64 block)
{
	return (u64)disk << TIDEPOOL_BLOCK_BITS | block;
}

static inline u64 tidepool_entry(enum tidepool_state state, u32 generation, u64 place)
{
	return (u64)state << 62 | (u64)generation << (TIDEPOOL_BLOCK_BITS + TIDEPOOL_DISK_BITS) |
	       place;
}

static inline enum tidepool_state tidepool_entry_state(u64 entry)
{
	return entry >> 62;
}

static inline u32 tidepool_entry_generation(u64 entry)
{
	return (entry >> (TIDEPOOL_BLOCK_BITS + TIDEPOOL_DISK_BITS)) & TIDEPOOL_GENERATION_MASK;
}

static inline u64 tidepool_entry_place(u64 entry)
{
	return entry & ((1ull << (TIDEPOOL_BLOCK_BITS + TIDEPOOL_DISK_BITS)) - 1);
}

static inline unsigned int tidepool_entry_disk(u64 entry)
{
	return tidepool_entry_place(entry) >> TIDEPOOL_BLOCK_BITS;
}

static inline u64 tidepool_entry_block(u64 entry)
{
	return entry & (TIDEPOOL_BLOCKS_MAX - 1);
}

/*
 * Locking: none. An entry is one word. The owner is written before the entry and read after it,
 * by those who have the page to themselves: it is locked, under writeback, or frozen.
 *
 * Frames above the RAM that there was at the start (memory hotplug) have no entry and are not kept.
 * Context of all but create, destroy and forget: any.
 */
struct tidepool_table {
	atomic64_t *entries;
	u32 *owners; /* a hash of mapping and index */
	unsigned long frames;
};

extern struct tidepool_table tidepool_table;

int tidepool_table_create(void);
void tidepool_table_destroy(void);

static inline bool tidepool_table_has(unsigned long pfn)
{
	return pfn < tidepool_table.frames;
}

static inline u64 tidepool_table_read(struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	return tidepool_table_has(pfn) ? atomic64_read(&tidepool_table.entries[pfn]) : 0;
}

/* Whose page it is, in a hash. @folio: the page's. */
static inline u32 tidepool_page_owner(struct folio *folio, struct page *page)
{
	u64 index = folio->index + folio_page_idx(folio, page);

	return hash_64((u64)(unsigned long)folio->mapping ^ index * GOLDEN_RATIO_64, 32);
}

/* Writes an entry, and whose page it is, then drops it again if the page is dirty (rule 4). */
static inline void tidepool_table_set(struct folio *folio, struct page *page, u64 entry)
{
	unsigned long pfn = page_to_pfn(page);

	if (!tidepool_table_has(pfn))
		return;
	tidepool_table.owners[pfn] = tidepool_page_owner(folio, page);
	smp_wmb(); /* with the frame taken over by whoever sees the entry */
	atomic64_set(&tidepool_table.entries[pfn], entry);
	smp_mb(); /* either we see the page dirty, or who makes it so sees the entry */
	if (folio_test_dirty(folio) && tidepool_rule(TIDEPOOL_RULE_DIRTY))
		atomic64_set(&tidepool_table.entries[pfn], 0);
}

/* Replaces @old, which was read there, by @new; nothing happens if it is another one by now. */
static inline void tidepool_table_replace(struct page *page, u64 old, u64 new)
{
	atomic64_cmpxchg(&tidepool_table.entries[page_to_pfn(page)], old, new);
}

/* Returns the entry and leaves none. */
u64 tidepool_table_take(struct page *page);

/* Whether the frame still has the page that its entry was written for. */
bool tidepool_table_owns(struct page *page);

void tidepool_table_clear_folio(struct folio *folio);
void tidepool_table_move_folio(struct folio *to, struct folio *from);

/* Drops all entries that name a disk. Context: may sleep. */
void tidepool_table_forget_disk(unsigned int disk);

#endif

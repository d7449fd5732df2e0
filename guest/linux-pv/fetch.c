// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to bios: reads that the pool can serve, and what reads and writes say about pages
 * and blocks. Both front ends call this. See cache.h, rules 2, 3 and 6.
 *
 * A read is served whole, or from its front in whole batches. Picking the hits out of the middle of
 * a bio would cut one request to the disk into many.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bvec.h>
#include <linux/export.h>
#include <linux/pagemap.h>

#include "cache.h"
#include "test.h"

static bool is_whole_page(const struct bio_vec *bvec, sector_t sector)
{
	return bvec->bv_len == PAGE_SIZE && !bvec->bv_offset && !(sector % PAGE_SECTORS);
}

static u64 sector_block(sector_t sector)
{
	return sector >> PAGE_SECTORS_SHIFT;
}

static u64 sector_place(const struct tidepool_io *io, sector_t sector)
{
	return tidepool_place(io->disk->index, sector_block(sector));
}

/* A page that is being read from the disk into the page cache, and is one of those we keep. */
static bool is_read_into(const struct tidepool_io *io, struct page *page)
{
	struct folio *folio = page_folio(page);

	return tidepool_disk_keeps(io->disk) && folio_test_locked(folio) &&
	       !folio_test_uptodate(folio) && tidepool_accept_folio(folio, io->bdev);
}

static bool is_written_from(const struct tidepool_io *io, struct page *page)
{
	struct folio *folio = page_folio(page);

	return tidepool_disk_keeps(io->disk) && folio_test_writeback(folio) &&
	       tidepool_accept_folio(folio, io->bdev);
}

static void io_advance(struct tidepool_io *io, unsigned int bytes)
{
	bio_advance_iter(io->bio, &io->iter, bytes);
	io->sector += bytes >> SECTOR_SHIFT;
}

/* Adds the pages at the front of @io to a batch; false if some page is not for us, or never was. */
static bool read_fill_batch(const struct tidepool_io *io, struct tidepool_batch *batch)
{
	sector_t sector = io->sector;
	struct bvec_iter iter;
	struct bio_vec bvec;

	__bio_for_each_segment(bvec, io->bio, iter, io->iter)
	{
		if (batch->count == TIDEPOOL_BATCH)
			break;
		if (!is_whole_page(&bvec, sector) || !is_read_into(io, bvec.bv_page) ||
		    !tidepool_batch_add_get(batch, bvec.bv_page, sector_block(sector)))
			return false;
		sector += PAGE_SECTORS;
	}
	return batch->count;
}

/* Serves one batch. Returns how many bytes: all of the batch, or 0. */
static unsigned int read_serve(struct tidepool_io *io)
{
	struct tidepool_batch *batch = tidepool_batch_open(io->disk);
	unsigned int bytes = 0;
	unsigned int i;

	if (read_fill_batch(io, batch) && tidepool_batch_get(batch)) {
		for (i = 0; i < batch->count; i++)
			tidepool_table_set(batch->slots[i].page,
					   tidepool_entry(
						   TIDEPOOL_PAGE_VALID,
						   tidepool_generation_of(batch->slots[i].word),
						   batch->slots[i].place));
		bytes = batch->count * PAGE_SIZE;
	}
	tidepool_batch_close(batch);
	return bytes;
}

/* Rule 2, before the read. */
static void read_record(const struct tidepool_io *io)
{
	sector_t sector = io->sector;
	struct bvec_iter iter;
	struct bio_vec bvec;
	u64 place;

	__bio_for_each_segment(bvec, io->bio, iter, io->iter)
	{
		place = sector_place(io, sector);
		if (is_whole_page(&bvec, sector) && is_read_into(io, bvec.bv_page)) {
			tidepool_table_set(bvec.bv_page,
					   tidepool_entry(TIDEPOOL_PAGE_READING,
							  tidepool_generation_read(place), place));
			tidepool_cache_add(misses, 1);
		}
		sector += bvec.bv_len >> SECTOR_SHIFT;
	}
}

unsigned int tidepool_read_start(struct tidepool_io *io)
{
	unsigned int served = 0;
	unsigned int bytes;

	tidepool_disk_check(io->disk);
	while (io->iter.bi_size) {
		bytes = read_serve(io);
		if (!bytes)
			break;
		io_advance(io, bytes);
		served += bytes;
	}
	if (io->iter.bi_size)
		read_record(io);
	return served;
}
EXPORT_SYMBOL_GPL(tidepool_read_start);

/*
 * Rules 2 and 3, after the disk's answer: pages that were READING or WRITING are VALID, if nothing
 * else has moved the generation of their block.
 */
static void io_settle(const struct tidepool_io *io, enum tidepool_state state, bool ok)
{
	sector_t sector = io->sector;
	struct bvec_iter iter;
	struct bio_vec bvec;
	u32 generation;
	u64 settled;
	u64 entry;
	u64 place;
	u32 now;

	__bio_for_each_segment(bvec, io->bio, iter, io->iter)
	{
		place = sector_place(io, sector);
		sector += bvec.bv_len >> SECTOR_SHIFT;
		entry = tidepool_table_read(bvec.bv_page);
		if (tidepool_entry_state(entry) != state || tidepool_entry_place(entry) != place)
			continue;
		now = tidepool_generation_read(place);
		generation = tidepool_entry_generation(entry);
		if (state == TIDEPOOL_PAGE_WRITING)
			generation = tidepool_generation_next(generation); /* its own move */
		else if (!tidepool_rule(TIDEPOOL_RULE_SAMPLE))
			generation = now;
		settled = ok && now == generation
				  ? tidepool_entry(TIDEPOOL_PAGE_VALID, generation, place)
				  : 0;
		tidepool_table_replace(bvec.bv_page, entry, settled);
	}
}

void tidepool_read_end(struct tidepool_io *io, bool ok)
{
	io_settle(io, TIDEPOOL_PAGE_READING, ok);
}
EXPORT_SYMBOL_GPL(tidepool_read_end);

/* Moves the generations of all blocks that @io touches, then flushes what the pool may have. */
static void write_invalidate(const struct tidepool_io *io)
{
	sector_t end = io->sector + (io->iter.bi_size >> SECTOR_SHIFT);
	u64 first = sector_block(io->sector);
	u64 count = sector_block(end + PAGE_SECTORS - 1) - first;
	bool held = false;
	u64 i;

	for (i = 0; i < count; i++)
		held |= tidepool_generation_move(tidepool_place(io->disk->index, first + i));
	if (held)
		tidepool_store_flush(io->disk, first, count);
}

static bool io_has_pages(const struct tidepool_io *io)
{
	return bio_op(io->bio) == REQ_OP_WRITE;
}

void tidepool_write_start(struct tidepool_io *io)
{
	sector_t sector = io->sector;
	struct bvec_iter iter;
	struct bio_vec bvec;
	u64 place;

	tidepool_disk_check(io->disk);
	if (!tidepool_disk_is_private(io->disk))
		tidepool_disk_close(io->disk);
	if (tidepool_rule(TIDEPOOL_RULE_SUBMIT))
		write_invalidate(io);
	if (!io_has_pages(io))
		return;
	__bio_for_each_segment(bvec, io->bio, iter, io->iter)
	{
		place = sector_place(io, sector);
		if (is_whole_page(&bvec, sector) && is_written_from(io, bvec.bv_page))
			tidepool_table_set(bvec.bv_page,
					   tidepool_entry(TIDEPOOL_PAGE_WRITING,
							  tidepool_generation_read(place), place));
		else
			tidepool_table_take(bvec.bv_page);
		sector += bvec.bv_len >> SECTOR_SHIFT;
	}
}
EXPORT_SYMBOL_GPL(tidepool_write_start);

void tidepool_write_end(struct tidepool_io *io, bool ok)
{
	if (tidepool_rule(TIDEPOOL_RULE_COMPLETE))
		write_invalidate(io);
	if (io_has_pages(io))
		io_settle(io, TIDEPOOL_PAGE_WRITING, ok || !tidepool_rule(TIDEPOOL_RULE_ERROR));
}
EXPORT_SYMBOL_GPL(tidepool_write_end);

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

static u64 sector_block(sector_t sector)
{
	return sector >> PAGE_SECTORS_SHIFT;
}

/*
 * The pages of a part of a bio, one by one. The block layer's own iterators take twice as many
 * instructions, of which each is some 0.01 % of a read.
 */
struct io_walk {
	const struct bio_vec *bvec;
	unsigned int skip;   /* bytes of it that are behind */
	unsigned int left;   /* bytes of the part that are ahead */
	sector_t sector;     /* that comes next */
	u64 disk;	     /* the place of its first block */
	struct page *page;   /* the one just met, */
	u64 place;	     /* its block, */
	bool whole;	     /* and whether it is all of one block */
};

static __always_inline struct io_walk walk_begin(const struct tidepool_io *io)
{
	return (struct io_walk){
		.bvec = &io->bio->bi_io_vec[io->iter.bi_idx],
		.skip = io->iter.bi_bvec_done,
		.left = io->iter.bi_size,
		.sector = io->sector,
		.disk = tidepool_place(io->disk->index, 0),
	};
}

/* Goes on to the next page; false if there is none. Inline: then all of @walk is in registers. */
static __always_inline bool walk_next(struct io_walk *walk)
{
	unsigned int offset;
	unsigned int len;

	if (!walk->left)
		return false;
	offset = walk->bvec->bv_offset + walk->skip;
	len = min(walk->bvec->bv_len - walk->skip, walk->left);
	len = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(offset));
	walk->page = nth_page(walk->bvec->bv_page, offset >> PAGE_SHIFT);
	walk->place = walk->disk + sector_block(walk->sector);
	walk->whole = len == PAGE_SIZE && !(walk->sector % PAGE_SECTORS);

	walk->left -= len;
	walk->sector += len >> SECTOR_SHIFT;
	walk->skip += len;
	if (walk->skip == walk->bvec->bv_len) {
		walk->bvec++;
		walk->skip = 0;
	}
	return true;
}

/*
 * Most bios are of one file: of a mapping that was accepted nothing is asked again. It cannot have
 * become another one: pages of it that this bio has are locked, or under writeback.
 */
static __always_inline bool io_accepts(struct tidepool_io *io, struct folio *folio)
{
	struct address_space *mapping = READ_ONCE(folio->mapping);

	if (mapping && mapping == io->accepted)
		return true;
	if (!tidepool_accept_folio(folio, io->bdev))
		return false;
	io->accepted = mapping;
	return true;
}

/* A page that is being read from the disk into the page cache, and is one of those we keep. */
static __always_inline bool is_read_into(struct tidepool_io *io, struct folio *folio)
{
	return folio_test_locked(folio) && !folio_test_uptodate(folio) && io_accepts(io, folio);
}

static bool is_written_from(struct tidepool_io *io, struct folio *folio)
{
	return folio_test_writeback(folio) && io_accepts(io, folio);
}

static void io_advance(struct tidepool_io *io, unsigned int bytes)
{
	bio_advance_iter(io->bio, &io->iter, bytes);
	io->sector += bytes >> SECTOR_SHIFT;
}

/* Adds the pages at the front of @io to a batch; false if some page is not for us, or never was. */
static bool serve_fill_batch(struct tidepool_io *io, struct tidepool_batch *batch)
{
	struct io_walk walk = walk_begin(io);

	while (batch->count < TIDEPOOL_VECTOR_ALL_MAX && walk_next(&walk)) {
		if (!walk.whole || !is_read_into(io, page_folio(walk.page)) ||
		    !tidepool_batch_add_get(batch, walk.page, walk.place))
			return false;
	}
	return batch->count;
}

/* Serves one batch. Returns how many bytes: all of the batch, or 0. */
static unsigned int serve_batch(struct tidepool_io *io)
{
	struct tidepool_batch *batch = tidepool_batch_open(io->disk);
	unsigned int bytes = 0;
	struct page *page;
	u32 generation;
	unsigned int i;

	if (serve_fill_batch(io, batch) && tidepool_batch_get(batch)) {
		for (i = 0; i < batch->count; i++) {
			page = batch->slots[i].page;
			generation = tidepool_generation_of(batch->slots[i].word);
			tidepool_table_set(page_folio(page), page,
					   tidepool_entry(TIDEPOOL_PAGE_VALID, generation,
							  batch->slots[i].place));
		}
		bytes = batch->count * PAGE_SIZE;
	}
	tidepool_batch_close(batch);
	return bytes;
}

unsigned int tidepool_read_serve(struct tidepool_io *io)
{
	unsigned int served = 0;
	unsigned int bytes;

	tidepool_disk_check(io->disk);
	while (io->iter.bi_size && tidepool_disk_keeps(io->disk)) {
		bytes = serve_batch(io);
		if (!bytes)
			break;
		io_advance(io, bytes);
		served += bytes;
	}
	return served;
}
EXPORT_SYMBOL_GPL(tidepool_read_serve);

void tidepool_read_start(struct tidepool_io *io)
{
	struct io_walk walk = walk_begin(io);
	unsigned int misses = 0;
	struct folio *folio;
	u32 generation;

	if (!tidepool_disk_keeps(io->disk))
		return;
	while (walk_next(&walk)) {
		folio = page_folio(walk.page);
		if (!walk.whole || !is_read_into(io, folio))
			continue;
		generation = tidepool_generation_read(walk.place);
		tidepool_table_set(folio, walk.page,
				   tidepool_entry(TIDEPOOL_PAGE_READING, generation, walk.place));
		misses++;
	}
	tidepool_cache_add(misses, misses);
}
EXPORT_SYMBOL_GPL(tidepool_read_start);

/*
 * Rules 2 and 3, after the disk's answer: pages that were READING or WRITING are VALID, if nothing
 * else has moved the generation of their block.
 */
static void io_settle(const struct tidepool_io *io, enum tidepool_state state, bool ok)
{
	struct io_walk walk = walk_begin(io);
	u32 generation;
	u64 settled;
	u64 entry;
	u32 now;

	while (walk_next(&walk)) {
		entry = tidepool_table_read(walk.page);
		if (tidepool_entry_state(entry) != state ||
		    tidepool_entry_place(entry) != walk.place)
			continue;
		now = tidepool_generation_read(walk.place);
		generation = tidepool_entry_generation(entry);
		if (state == TIDEPOOL_PAGE_WRITING)
			generation = tidepool_generation_next(generation); /* its own move */
		else if (!tidepool_rule(TIDEPOOL_RULE_SAMPLE))
			generation = now;
		settled = ok && now == generation
				  ? tidepool_entry(TIDEPOOL_PAGE_VALID, generation, walk.place)
				  : 0;
		tidepool_table_replace(walk.page, entry, settled);
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

/* A page under writeback is WRITING from now on; another one that is written has no entry. */
static void write_record(struct tidepool_io *io)
{
	bool keeps = tidepool_disk_keeps(io->disk);
	struct io_walk walk = walk_begin(io);
	struct folio *folio;
	u32 generation;

	while (walk_next(&walk)) {
		folio = page_folio(walk.page);
		if (!keeps || !walk.whole || !is_written_from(io, folio)) {
			tidepool_table_take(walk.page);
			continue;
		}
		generation = tidepool_generation_read(walk.place);
		tidepool_table_set(folio, walk.page,
				   tidepool_entry(TIDEPOOL_PAGE_WRITING, generation, walk.place));
	}
}

void tidepool_write_start(struct tidepool_io *io)
{
	tidepool_disk_check(io->disk);
	if (!tidepool_disk_is_private(io->disk))
		tidepool_disk_close(io->disk);
	if (tidepool_rule(TIDEPOOL_RULE_SUBMIT))
		write_invalidate(io);
	if (io_has_pages(io))
		write_record(io);
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

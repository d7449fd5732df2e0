/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page cache in tmem: clean pages of files that reclaim drops go to an ephemeral pool, and come
 * back from there instead of from the disk.
 *
 * A page is kept under (disk, block of 4 KiB), not under (file, index): whatever changes the truth
 * is a bio to that block, and all bios pass one point, a front end's. Truncate, unlink, rename and
 * reuse of blocks need no hook: a reused block is written before it is read.
 *
 * What has to be known is "this page holds what is in that block". A table with an entry for each
 * page frame says so (pagetable.c): {state, generation, disk, block}, and whose page the frame was
 * when that was written down. Each block has a generation (generation.c), which moves when the
 * block is written; blocks that share one by their hash only lose pages.
 *
 * The rules, with the place of each:
 *
 *  1. A page that enters the page cache has no entry (evict.c).
 *  2. READ: a locked page of an accepted mapping that is not up to date becomes READING, with the
 *     generation of before the read; after the read VALID, if that has not moved (fetch.c).
 *  3. WRITE, DISCARD, WRITE ZEROES: at submission, and again at completion before the caller hears
 *     of it, the generation moves and then the block is flushed. A page under writeback becomes
 *     WRITING; after it VALID, if nothing but its own write moved the generation, else none
 *     (fetch.c).
 *  4. A clean page that becomes dirty loses its entry (evict.c). Whoever writes an entry looks
 *     afterwards whether the page is dirty.
 *  5. A page that leaves the page cache loses its entry. It is put if nobody can hold a reference
 *     (the count is frozen at 0: reclaim), it is up to date and clean, its entry is VALID, of this
 *     page, and the block's generation is the entry's. The generation is claimed before the put and
 *     released after it; if it moved in between, the block is flushed (evict.c, store.c).
 *  6. A get looks at the generation before and after: if it moved, or a put had or has it claimed,
 *     the page is not used. So nobody reads what a put carries in late, after the write that made
 *     it old. After a hit the page is VALID with the generation of before (store.c, fetch.c).
 *  7. Migration takes the entry along; zeroing a part of a folio that stays, as truncation and hole
 *     punching do without making it dirty, kills all its entries (evict.c).
 *
 * Shared (share.c): a read-only disk over an image that other guests read as well can have its pages
 * in a pool of theirs all, under (image, block), not in this guest's own. What is there is what
 * whoever may put has put. The hypervisor lets nobody write to the image, so no write makes old
 * what another guest put: nothing is flushed (but by rule 5), and the rules hold within this guest
 * as for any disk. Whatever would break that closes the disk for good (tidepool_disk_close): a bio that
 * writes, a disk that can be written or has another size. A get leaves the page there, so what
 * leaves the page cache is asked for first, and put only if the pool does not have it.
 *
 * Accepted (accept.c): a mapping of a regular file whose file system sits right on the device that
 * the bio names (nothing may transform data in between), with operations known to leave disk blocks
 * in pages as they are, without encryption. Blocks and pages must match as wholes: what is smaller
 * than a page or not aligned is never kept, and flushes what it touches.
 */
#ifndef TIDEPOOL_PV_CACHE_H
#define TIDEPOOL_PV_CACHE_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/mm.h>
#include <linux/percpu-refcount.h>
#include <linux/types.h>

#include <tidepool/abi.h>

#include "compat.h"
#include "generation.h"
#include "pagetable.h"

/* ---- accept.c: whose pages -------------------------------------------------------------------- */

int tidepool_accept_start(void);
void tidepool_accept_stop(void);

/*
 * tidepool_accept_folio - is the folio's content that of the blocks it was read from on @bdev?
 *
 * Context: any; the folio cannot leave its mapping (it is locked, or under writeback).
 */
bool tidepool_accept_folio(struct folio *folio, struct block_device *bdev);

/* ---- share.c: disks whose pages guests share -------------------------------------------------- */

#define TIDEPOOL_POOL_NAME 16u /* bytes, the last one zero */

/* Where a shared disk's pages are. */
struct tidepool_share {
	char name[TIDEPOOL_POOL_NAME]; /* of the pool */
	unsigned int pool;	       /* its id */
	bool puts;		       /* this guest may put there; else it only gets */
	u64 image;		       /* in the keys of its pages; 0: there is no share */
};

/*
 * tidepool_share_open - find out a disk's image, and open the pool @name for it
 *
 * Returns 0, -EINVAL (the disk can be written, or has no image; no name), or the hypervisor's
 * error: -EPERM if this guest was not granted an ephemeral pool @name. The log says which. Context:
 * may sleep; one at a time with _close().
 */
int tidepool_share_open(struct tidepool_share *share, struct gendisk *gendisk, const char *name);
void tidepool_share_close(const struct tidepool_share *share);

/* ---- disk.c: the disks whose pages are kept --------------------------------------------------- */

struct tidepool_disk {
	unsigned int index;	 /* its place in the table of disks, and in entries */
	bool live;		 /* pages may be recorded and put */
	bool closed;		 /* never again, though it is attached; of shared disks only */
	struct tidepool_share share;
	u64 id; /* in the keys of a private disk's pages; a renewed disk has another */
	sector_t capacity;	 /* sectors, when it was attached or renewed */
	struct gendisk *gendisk;
	bool filtered;		   /* by the ftrace front end, */
	struct tidepool_bdev open; /* which holds this */
	struct percpu_ref users;   /* bios that are on their way */
	struct completion drained;
};

/*
 * Whether all that its pool holds was put by this guest. It is not for a shared disk: what this
 * guest never put may be there, and what it does not want may not be flushed.
 */
static inline bool tidepool_disk_is_private(const struct tidepool_disk *disk)
{
	return !disk->share.image;
}

/* Whether its pages may be recorded and got, */
static inline bool tidepool_disk_keeps(const struct tidepool_disk *disk)
{
	return READ_ONCE(disk->live) && !READ_ONCE(disk->closed);
}

/* and put as well. */
static inline bool tidepool_disk_puts(const struct tidepool_disk *disk)
{
	return tidepool_disk_keeps(disk) && (tidepool_disk_is_private(disk) || disk->share.puts);
}

/*
 * tidepool_disk_add - start to keep pages of a disk; a front end sees its bios from now on
 * @share: a shared disk's, which owns it from now on; NULL, or without an image: it is private
 *
 * Returns the disk, not yet live, or an ERR_PTR: -ENOSPC, -EEXIST, -EINVAL (zoned, with integrity
 * data, or too large), -ENOMEM. Context: may sleep.
 */
struct tidepool_disk *tidepool_disk_add(struct gendisk *gendisk,
					const struct tidepool_share *share);

/* Ends it: waits for its bios, drops its entries and its pages, or its share. Context: may sleep. */
void tidepool_disk_remove(struct tidepool_disk *disk);

/* The disk at a place, or NULL. Context: RCU (preemption off will do). */
struct tidepool_disk *tidepool_disk_at(unsigned int index);

/* Drops all that is kept of a disk whose content may have changed unseen. Context: any. */
void tidepool_disk_renew(struct tidepool_disk *disk);

/* No page of this shared disk is got or put any more (share.c). Context: any. */
void tidepool_disk_close(struct tidepool_disk *disk);

/* Renews all private disks. Context: may sleep. */
void tidepool_disk_renew_all(void);

/* Nothing is kept any more, and nothing is left in the private pool. Context: may sleep. */
void tidepool_disk_retire_all(void);

/* Renews the disk if its size has changed; a shared one stays read-only. Context: any. */
static inline void tidepool_disk_check(struct tidepool_disk *disk)
{
	if (unlikely(get_capacity(disk->gendisk) != disk->capacity))
		tidepool_disk_renew(disk);
	if (!tidepool_disk_is_private(disk) && unlikely(!get_disk_ro(disk->gendisk)))
		tidepool_disk_close(disk);
}

/* ---- store.c: blocks in the pools ------------------------------------------------------------- */

/* A large folio is put by one call: 2 MiB is the largest. */
#define TIDEPOOL_BATCH TIDEPOOL_VECTOR_MAX

/* Pages of one disk on their way: up to TIDEPOOL_BATCH to put, or TIDEPOOL_VECTOR_ALL_MAX to get. */
struct tidepool_batch {
	struct tidepool_descriptor *calls; /* as many */
	struct {
		struct page *page;
		u64 place;
		u32 word; /* of the generation: when it was claimed for a put, or before a get */
	} slots[TIDEPOOL_BATCH];
	struct tidepool_disk *disk;
	u64 id; /* of the disk, or its image; read once, so that it cannot change on the way */
	unsigned int count;
	unsigned long flags;
	u8 byte; /* of a page that is asked for: where it goes */
};

int tidepool_store_create(void);
void tidepool_store_destroy(void);

/* This CPU's batch, empty; interrupts are off until it is closed. Context: any but NMI. */
struct tidepool_batch *tidepool_batch_open(struct tidepool_disk *disk);
void tidepool_batch_close(struct tidepool_batch *batch);

/* Adds a page to put, if rule 5 lets its generation be claimed. The batch is not full. */
void tidepool_batch_add_put(struct tidepool_batch *batch, struct page *page, u64 entry);

/* Adds a page to get; false if the pool cannot have it. The batch is not full. */
bool tidepool_batch_add_get(struct tidepool_batch *batch, struct page *page, u64 place);

/* Puts all pages of the batch that are not there yet, and empties it. */
void tidepool_batch_put(struct tidepool_batch *batch);

/* Gets all pages (true) or leaves all as garbage (false); the batch stays as it is. */
bool tidepool_batch_get(struct tidepool_batch *batch);

/* Drops @count blocks of a private disk from @first on. Context: any; large ranges take long. */
void tidepool_store_flush(struct tidepool_disk *disk, u64 first, u64 count);

/* Drops what the pool holds of a disk that was known as @id. Context: may sleep. */
void tidepool_store_flush_disk(u64 id, u64 blocks);

/* ---- evict.c: what happens to pages ----------------------------------------------------------- */

int tidepool_evict_start(void);
void tidepool_evict_stop(void);

/* ---- fetch.c: what happens to bios ------------------------------------------------------------ */

/* Blocks that one tidepool_io may have: it bounds the time that a flush takes. 64 MiB. */
#define TIDEPOOL_IO_BLOCKS  16384u
#define TIDEPOOL_IO_SECTORS ((sector_t)TIDEPOOL_IO_BLOCKS << PAGE_SECTORS_SHIFT)

/* A part of a bio, from its submission to its completion. */
struct tidepool_io {
	struct tidepool_disk *disk;
	struct block_device *bdev; /* what a file system must sit on for its pages to be kept */
	struct bio *bio;	   /* its pages; stays as it is until the end */
	struct bvec_iter iter;	   /* which part of it */
	sector_t sector;	   /* of that part, on the disk */
	struct address_space *accepted; /* the last that was (accept.c), or NULL; of fetch.c */
};

/*
 * tidepool_read_serve - serve the front of a READ from the pool
 *
 * Returns how many bytes were served, from the first on: all, or whole batches. @io is left with
 * the rest, which the disk is to read. Context: process.
 */
unsigned int tidepool_read_serve(struct tidepool_io *io);

/* Rule 2, before the disk reads @io. Context: any. */
void tidepool_read_start(struct tidepool_io *io);

/* The disk has read (or failed to read) @io. Context: any. */
void tidepool_read_end(struct tidepool_io *io, bool ok);

/* Before and after anything that changes blocks; at most TIDEPOOL_IO_BLOCKS. Context: any. */
void tidepool_write_start(struct tidepool_io *io);
void tidepool_write_end(struct tidepool_io *io, bool ok);

/* ---- frontend_ftrace.c: bios of disks in use -------------------------------------------------- */

int tidepool_filter_start(void);
void tidepool_filter_stop(void); /* no disk is attached */

/*
 * tidepool_filter_attach - keep the pages of a disk that may be in use
 * @path: a device file of the disk, or of a partition of it
 * @pool: name of a pool to share them in, or NULL
 *
 * Returns the disk, or an ERR_PTR: the errors of tidepool_disk_add(), of tidepool_share_open(), of
 * opening @path, of ftrace. Context: may sleep; waits for the disk's requests.
 */
struct tidepool_disk *tidepool_filter_attach(const char *path, const char *pool);
void tidepool_filter_detach(struct tidepool_disk *disk);

/* ---- cache.c: all of it ----------------------------------------------------------------------- */

/* tidepool_cache_init - offer attach and detach in sysfs; @disks: attached now, "" or NULL: none */
int tidepool_cache_init(const char *disks);
void tidepool_cache_exit(void);

/* Drops all that is kept, if anything is. Context: may sleep. */
void tidepool_cache_renew(void);

/* Starts what all front ends need, if nobody has; a front end calls it before it adds a disk. */
int tidepool_cache_start(void);

/* ---- cache_stats.c: figures ------------------------------------------------------------------- */

#define TIDEPOOL_CACHE_COUNTS(entry)                                                               \
	entry(puts) entry(refused) entry(gets) entry(misses) entry(flushed) entry(unused)          \
		entry(dropped) entry(stale) entry(raced) entry(late) entry(moved) entry(zeroed)    \
			entry(foreign) entry(unseen) entry(present) entry(shared_puts)             \
				entry(shared_gets)

#define TIDEPOOL_CACHE_ENUM(name) TIDEPOOL_CACHE_##name,
enum tidepool_cache_count { TIDEPOOL_CACHE_COUNTS(TIDEPOOL_CACHE_ENUM) TIDEPOOL_CACHE_COUNT };

struct tidepool_cache_counters {
	u64 value[TIDEPOOL_CACHE_COUNT];
};

DECLARE_PER_CPU(struct tidepool_cache_counters, tidepool_cache_counters);

#define tidepool_cache_add(name, n)                                                                \
	this_cpu_add(tidepool_cache_counters.value[TIDEPOOL_CACHE_##name], n)

extern const struct attribute_group tidepool_cache_group;

#endif

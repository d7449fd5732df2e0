// SPDX-License-Identifier: GPL-2.0-only
/*
 * The front end for disks in use, a mounted root among them: the entry of submit_bio_noacct(), which
 * every bio passes, is patched by ftrace to come here for bios of the disks that are attached.
 *
 * A bio that changes blocks is not sent on itself but as a clone (or several, for a long one) with a
 * completion of our own. Clones are known by their bio_set: they pass. A read that the pool does not
 * serve is sent on itself, with our completion in the place of its own until the disk has answered,
 * which saves some 2000 instructions. It is known by that, and passes. What the block layer splits
 * off either goes on below, without us.
 *
 * One user of the patch at a time: while live patching or another filter has this function,
 * registration fails, and the device-mapper front end is the way.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk-mq.h>
#include <linux/ftrace.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "cache.h"
#include "test.h"

#define FILTER_BIO_RESERVE 64

struct filter_io {
	struct tidepool_io io;
#ifdef TIDEPOOL_TEST
	struct delayed_work late;
#endif
};

struct filter_write {
	struct filter_io fio;
	struct bio clone; /* last: its vectors follow */
};

struct filter_read {
	struct filter_io fio;
	bio_end_io_t *end_io; /* what the bio had before */
	void *private;
};

static struct bio_set filter_bios;
static DEFINE_MUTEX(filter_lock); /* for the count of disks and the registration */
static unsigned int filter_disks;

/* The disk as it is attached here, or NULL. Context: preemption off, or with a reference to it. */
static notrace struct tidepool_disk *filter_find_disk(const struct gendisk *gendisk)
{
	struct tidepool_disk *disk;
	unsigned int i;

	for (i = 0; i < TIDEPOOL_DISKS; i++) {
		disk = tidepool_disk_at(i);
		if (disk && smp_load_acquire(&disk->filtered) && disk->gendisk == gendisk)
			return disk;
	}
	return NULL;
}

/* Whether a read is one that the pool may have, or whose pages it may get later. */
static bool filter_wants_read(struct bio *bio)
{
	struct page *page = bio_page(bio);

	if (bio_op(bio) != REQ_OP_READ || bio->bi_opf & (REQ_POLLED | REQ_NOWAIT))
		return false;
	/* Without a lock: what is found here is only a hint; the core looks again. */
	return page && page->mapping && PageLocked(page) && !PageUptodate(page);
}

static void filter_end_read(struct bio *bio);

/* Neither a clone nor a read that has been here. */
static bool filter_wants(struct bio *bio)
{
	return bio_sectors(bio) && bio->bi_pool != &filter_bios &&
	       bio->bi_end_io != filter_end_read &&
	       (op_is_write(bio_op(bio)) || filter_wants_read(bio));
}

static bool io_is_write(const struct tidepool_io *io)
{
	return op_is_write(bio_op(io->bio));
}

/* The disk has answered a clone. */
static void filter_finish_write(struct filter_write *write)
{
	struct tidepool_disk *disk = write->fio.io.disk;
	struct bio *bio = write->fio.io.bio;
	blk_status_t status = write->clone.bi_status;

	tidepool_write_end(&write->fio.io, !status);
	if (status && !bio->bi_status)
		bio->bi_status = status;
	bio_put(&write->clone);
	bio_endio(bio);
	percpu_ref_put(&disk->users);
}

/* The disk has answered a read. What bio_endio() does before it calls a completion is done. */
static void filter_finish_read(struct filter_read *read)
{
	struct tidepool_disk *disk = read->fio.io.disk;
	struct bio *bio = read->fio.io.bio;

	tidepool_read_end(&read->fio.io, !bio->bi_status);
	bio->bi_end_io = read->end_io;
	bio->bi_private = read->private;
	kfree(read);
	if (bio->bi_end_io)
		bio->bi_end_io(bio);
	percpu_ref_put(&disk->users);
}

static void filter_finish(struct filter_io *fio)
{
	if (io_is_write(&fio->io))
		filter_finish_write(container_of(fio, struct filter_write, fio));
	else
		filter_finish_read(container_of(fio, struct filter_read, fio));
}

#ifdef TIDEPOOL_TEST

static void filter_finish_late(struct work_struct *work)
{
	filter_finish(container_of(to_delayed_work(work), struct filter_io, late));
}

static bool filter_postpone(struct filter_io *fio)
{
	enum tidepool_pause place = io_is_write(&fio->io) ? TIDEPOOL_PAUSE_WRITTEN
							  : TIDEPOOL_PAUSE_READ;
	unsigned int pause = READ_ONCE(tidepool_test_pauses[place]);

	if (!pause)
		return false;
	INIT_DELAYED_WORK(&fio->late, filter_finish_late);
	schedule_delayed_work(&fio->late, msecs_to_jiffies(pause));
	return true;
}

/* Pages of files only: the file system's own writes go through, or it would shut down. */
static bool filter_fails(struct filter_io *fio)
{
	return io_is_write(&fio->io) && bio_has_data(fio->io.bio) && tidepool_test_fail_writes() &&
	       tidepool_entry_state(tidepool_table_read(bio_page(fio->io.bio))) ==
		       TIDEPOOL_PAGE_WRITING;
}

#else

static bool filter_postpone(struct filter_io *fio)
{
	return false;
}

static bool filter_fails(struct filter_io *fio)
{
	return false;
}

#endif

static void filter_end_io(struct filter_io *fio)
{
	if (!filter_postpone(fio))
		filter_finish(fio);
}

static void filter_end_write(struct bio *clone)
{
	filter_end_io(&container_of(clone, struct filter_write, clone)->fio);
}

static void filter_end_read(struct bio *bio)
{
	struct filter_read *read = bio->bi_private;

	filter_end_io(&read->fio);
}

/* A clone of the first bytes of what @iter says is left of @bio; NULL only for REQ_NOWAIT. */
static struct filter_write *filter_clone(struct bio *bio, const struct bvec_iter *iter,
					 unsigned int bytes)
{
	gfp_t gfp = bio->bi_opf & REQ_NOWAIT ? GFP_NOWAIT : GFP_NOIO;
	struct bio *clone = bio_alloc_clone(bio->bi_bdev, bio, gfp, &filter_bios);

	if (!clone)
		return NULL;
	clone->bi_iter = *iter;
	clone->bi_iter.bi_size = bytes;
	clone->bi_opf &= ~REQ_POLLED;
	clone->bi_end_io = filter_end_write;
	return container_of(clone, struct filter_write, clone);
}

/* Where on the disk a bio begins: a partition's bio has not been mapped to its disk yet. */
static sector_t bio_disk_sector(struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;

	if (bdev_is_partition(bio->bi_bdev) && !bio_flagged(bio, BIO_REMAPPED))
		sector += bio->bi_bdev->bd_start_sect;
	return sector;
}

/* How much of what is left goes in one piece: up to a multiple of TIDEPOOL_IO_SECTORS. */
static unsigned int filter_piece(sector_t sector, unsigned int left)
{
	u64 room = TIDEPOOL_IO_SECTORS - (sector & (TIDEPOOL_IO_SECTORS - 1));

	return min_t(u64, left, room << SECTOR_SHIFT);
}

/* Sends a bio that changes blocks; it ends when all its pieces have. */
static void filter_write(struct tidepool_io *io)
{
	struct bio *bio = io->bio;
	struct filter_write *write;
	unsigned int bytes;

	while (io->iter.bi_size) {
		bytes = filter_piece(io->sector, io->iter.bi_size);
		write = filter_clone(bio, &io->iter, bytes);
		if (!write) {
			/* Pieces that are on their way end before it. */
			bio_wouldblock_error(bio);
			return;
		}
		write->fio.io = *io;
		write->fio.io.iter = write->clone.bi_iter;
		bio_advance_iter(bio, &io->iter, bytes);
		io->sector += bytes >> SECTOR_SHIFT;

		/* The bio counts one piece by itself: the last. */
		if (io->iter.bi_size)
			bio_inc_remaining(bio);
		percpu_ref_get(&io->disk->users);
		tidepool_write_start(&write->fio.io);
		tidepool_test_sleep(TIDEPOOL_PAUSE_WRITE);
		if (filter_fails(&write->fio))
			bio_io_error(&write->clone);
		else
			submit_bio_noacct(&write->clone);
	}
}

/*
 * Sends a read with our completion. Without memory to remember the bio's own, it is sent as a clone,
 * which passes as well, and what it reads is not kept. (A reserve of such memory could be all with
 * reads that this task has yet to send.)
 */
static void filter_send_read(struct tidepool_io *io)
{
	struct bio *bio = io->bio;
	struct filter_read *read = NULL;
	struct bio *clone;

	if (!tidepool_test_forget())
		read = kmalloc(sizeof(*read), GFP_NOWAIT | __GFP_NOWARN);
	if (!read) {
		tidepool_cache_add(unseen, 1);
		clone = bio_alloc_clone(bio->bi_bdev, bio, GFP_NOIO, &filter_bios);
		bio_chain(clone, bio);
		submit_bio_noacct(clone);
		bio_endio(bio);
		return;
	}
	percpu_ref_get(&io->disk->users);
	tidepool_read_start(io);
	read->fio.io = *io;
	read->end_io = bio->bi_end_io;
	read->private = bio->bi_private;
	bio->bi_end_io = filter_end_read;
	bio->bi_private = read;
	submit_bio_noacct(bio);
}

/* Serves a read, or its front; the disk does the rest. */
static void filter_read(struct tidepool_io *io)
{
	struct bio *bio = io->bio;

	bio_advance(bio, tidepool_read_serve(io));
	if (io->iter.bi_size)
		filter_send_read(io);
	else
		bio_endio(bio);
}

/*
 * What submit_bio_noacct() does for a bio of an attached disk. filter_hook() took a reference, which
 * is held until the end, since this task may sleep here for longer than its bio is on its way.
 */
static noinline void filter_submit(struct bio *bio)
{
	struct tidepool_io io = {
		.disk = filter_find_disk(bio->bi_bdev->bd_disk),
		.bio = bio,
		.bdev = bio->bi_bdev,
		.iter = bio->bi_iter,
		.sector = bio_disk_sector(bio),
	};
	struct tidepool_disk *disk = io.disk;

	if (io_is_write(&io))
		filter_write(&io);
	else
		filter_read(&io);
	percpu_ref_put(&disk->users);
}

static void notrace filter_hook(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
				struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);
	struct tidepool_disk *disk;
	struct bio *bio;

	if (!regs)
		return;
	bio = (struct bio *)regs_get_kernel_argument(regs, 0);
	if (!bio->bi_bdev || !filter_wants(bio))
		return;
	disk = filter_find_disk(bio->bi_bdev->bd_disk);
	if (disk && percpu_ref_tryget_live(&disk->users))
		regs->ip = (unsigned long)filter_submit;
}

static struct ftrace_ops filter_ops = {
	.func = filter_hook,
	.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_RECURSION | FTRACE_OPS_FL_PERMANENT |
		 FTRACE_OPS_FL_IPMODIFY,
};

/* Patches the kernel for the first disk. Context: filter_lock held. */
static int filter_register(void)
{
	int err;

	if (filter_disks)
		return 0;
	err = ftrace_set_filter_ip(&filter_ops, (unsigned long)submit_bio_noacct, 0, 0);
	if (!err)
		err = register_ftrace_function(&filter_ops);
	if (err)
		pr_err("cannot patch submit_bio_noacct(): error %d%s\n", err,
		       err == -EBUSY ? "; someone else has" : "");
	return err;
}

static void filter_unregister(void)
{
	if (!filter_disks)
		unregister_ftrace_function(&filter_ops);
}

struct tidepool_disk *tidepool_filter_attach(const char *path, const char *pool)
{
	struct tidepool_share share = {};
	struct tidepool_bdev open;
	struct tidepool_disk *disk;
	int err;

	err = tidepool_bdev_share(&open, path);
	if (err)
		return ERR_PTR(err);
	mutex_lock(&filter_lock);
	err = filter_register();
	if (err)
		goto close_bdev;
	err = pool ? tidepool_share_open(&share, open.bdev->bd_disk, pool) : 0;
	if (err)
		goto unregister;
	disk = tidepool_disk_add(open.bdev->bd_disk, &share);
	if (IS_ERR(disk)) {
		err = PTR_ERR(disk);
		goto close_share;
	}
	filter_disks++;
	/*
	 * Writes pass through here from now on. Those that were under way before have to end before
	 * anything is recorded: what they change, they change unseen.
	 */
	disk->open = open;
	smp_store_release(&disk->filtered, true);
	synchronize_rcu();
	blk_mq_freeze_queue(disk->gendisk->queue);
	blk_mq_unfreeze_queue(disk->gendisk->queue);
	WRITE_ONCE(disk->live, true);
	mutex_unlock(&filter_lock);
	return disk;

close_share:
	if (pool)
		tidepool_share_close(&share);
unregister:
	filter_unregister();
close_bdev:
	mutex_unlock(&filter_lock);
	tidepool_bdev_close(&open, NULL);
	return ERR_PTR(err);
}

void tidepool_filter_detach(struct tidepool_disk *disk)
{
	struct tidepool_bdev open = disk->open;

	mutex_lock(&filter_lock);
	tidepool_disk_remove(disk);
	filter_disks--;
	filter_unregister();
	mutex_unlock(&filter_lock);
	tidepool_bdev_close(&open, NULL);
}

int tidepool_filter_start(void)
{
	/* It may be entered inside another device's ->submit_bio(), hence the rescuer. */
	return bioset_init(&filter_bios, FILTER_BIO_RESERVE, offsetof(struct filter_write, clone),
			   BIOSET_NEED_RESCUER);
}

void tidepool_filter_stop(void)
{
	/* The last instructions of filter_submit(), and of completions. */
	synchronize_rcu_tasks();
	synchronize_rcu();
	bioset_exit(&filter_bios);
}

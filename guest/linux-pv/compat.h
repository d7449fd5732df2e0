/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that differs between the kernels this driver is built for: Debian 12's 6.1 and 6.12
 * of its backports. Other files hold no version check, but for the one hook that exists in 6.1
 * only (TIDEPOOL_HAVE_RW_PAGE).
 */
#ifndef TIDEPOOL_PV_COMPAT_H
#define TIDEPOOL_PV_COMPAT_H

#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>

/* What a shrinker's two functions look like. */
typedef unsigned long (*tidepool_shrink_t)(struct shrinker *, struct shrink_control *);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)

/*
 * tidepool_alloc_disk - a bio-based disk for swap on whole pages, not yet visible
 *
 * BLK_FEAT_SYNCHRONOUS tells the swap code that I/O is done when submit_bio() returns: no swap
 * cache, no readahead for a page that one process maps. A rotational disk would be a feature flag;
 * without it swap spreads over the per-CPU clusters that it uses on SSDs.
 *
 * Returns the disk, or an ERR_PTR.
 */
static inline struct gendisk *tidepool_alloc_disk(void)
{
	struct queue_limits limits = {
		.logical_block_size = PAGE_SIZE,
		.physical_block_size = PAGE_SIZE,
		.io_min = PAGE_SIZE,
		.dma_alignment = PAGE_SIZE - 1,
		.max_hw_discard_sectors = UINT_MAX,
		.discard_granularity = PAGE_SIZE,
		.features = BLK_FEAT_SYNCHRONOUS,
	};

	return blk_alloc_disk(&limits, NUMA_NO_NODE);
}

/* An open block device is a file. */
struct tidepool_bdev {
	struct block_device *bdev;
	struct file *file;
};

/* Opens @path for this driver alone (@holder: any pointer of its own). Returns 0 or an error. */
static inline int tidepool_bdev_open(struct tidepool_bdev *open, const char *path, void *holder)
{
	open->file = bdev_file_open_by_path(path, BLK_OPEN_READ | BLK_OPEN_WRITE, holder, NULL);
	if (IS_ERR(open->file))
		return PTR_ERR(open->file);
	open->bdev = file_bdev(open->file);
	return 0;
}

/* Opens @path beside others, to read. Returns 0 or an error. */
static inline int tidepool_bdev_share(struct tidepool_bdev *open, const char *path)
{
	open->file = bdev_file_open_by_path(path, BLK_OPEN_READ, NULL, NULL);
	if (IS_ERR(open->file))
		return PTR_ERR(open->file);
	open->bdev = file_bdev(open->file);
	return 0;
}

/* @holder: as it was opened with; NULL for a shared one. */
static inline void tidepool_bdev_close(struct tidepool_bdev *open, void *holder)
{
	bdev_fput(open->file);
}

/* Returns the shrinker, at work, or NULL. */
static inline struct shrinker *tidepool_shrinker_add(tidepool_shrink_t count,
						     tidepool_shrink_t scan)
{
	struct shrinker *shrinker = shrinker_alloc(0, "tidepool");

	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
	return shrinker;
}

static inline void tidepool_shrinker_remove(struct shrinker *shrinker)
{
	shrinker_free(shrinker);
}

#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0) && LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)

#include <linux/pagemap.h>

/*
 * Swap calls fops.rw_page for one page without a bio, and takes its presence for what
 * BLK_FEAT_SYNCHRONOUS says above. Gone since 6.3.
 */
#define TIDEPOOL_HAVE_RW_PAGE

static inline struct gendisk *tidepool_alloc_disk(void)
{
	struct gendisk *disk = blk_alloc_disk(NUMA_NO_NODE);

	if (!disk)
		return ERR_PTR(-ENOMEM);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, disk->queue);
	blk_queue_flag_clear(QUEUE_FLAG_ADD_RANDOM, disk->queue);
	blk_queue_logical_block_size(disk->queue, PAGE_SIZE);
	blk_queue_physical_block_size(disk->queue, PAGE_SIZE);
	blk_queue_io_min(disk->queue, PAGE_SIZE);
	blk_queue_dma_alignment(disk->queue, PAGE_SIZE - 1);
	blk_queue_max_discard_sectors(disk->queue, UINT_MAX);
	disk->queue->limits.discard_granularity = PAGE_SIZE;
	return disk;
}

#define TIDEPOOL_BDEV_MODE  (FMODE_READ | FMODE_WRITE | FMODE_EXCL)
#define TIDEPOOL_SHARE_MODE FMODE_READ

struct tidepool_bdev {
	struct block_device *bdev;
};

static inline int tidepool_bdev_open(struct tidepool_bdev *open, const char *path, void *holder)
{
	open->bdev = blkdev_get_by_path(path, TIDEPOOL_BDEV_MODE, holder);
	return PTR_ERR_OR_ZERO(open->bdev);
}

static inline int tidepool_bdev_share(struct tidepool_bdev *open, const char *path)
{
	open->bdev = blkdev_get_by_path(path, TIDEPOOL_SHARE_MODE, NULL);
	return PTR_ERR_OR_ZERO(open->bdev);
}

static inline void tidepool_bdev_close(struct tidepool_bdev *open, void *holder)
{
	blkdev_put(open->bdev, holder ? TIDEPOOL_BDEV_MODE : TIDEPOOL_SHARE_MODE);
}

static inline struct shrinker *tidepool_shrinker_add(tidepool_shrink_t count,
						     tidepool_shrink_t scan)
{
	struct shrinker *shrinker = kzalloc(sizeof(*shrinker), GFP_KERNEL);

	if (!shrinker)
		return NULL;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->seeks = DEFAULT_SEEKS;
	if (!register_shrinker(shrinker, "tidepool"))
		return shrinker;
	kfree(shrinker);
	return NULL;
}

static inline void tidepool_shrinker_remove(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(shrinker);
}

#else
#error "The Tidepool driver is built for Linux 6.1 and for Linux 6.12 and later"
#endif

#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The swap device: /dev/tidepool_swap0, a block device whose blocks are pages of a persistent pool.
 *
 * Where a block is:
 *  - block 0, the swap header, is the backing device's (it has to outlive the pool); without one it
 *    is kept in a page of this kernel;
 *  - any other block is in the pool if the last write of it was accepted, else on the backing
 *    device under the same number.
 * Without a backing device a refused write fails with BLK_STS_NOSPC: swap then keeps the page in
 * RAM, and a block never written reads as zeros. The size is a promise that the hypervisor did not
 * give, so a guest that must not be short of memory wants a backing device.
 *
 * Nothing on the way of one page out of the kernel allocates memory: a bio of one page is
 * redirected as it is, larger ones (huge pages) use a reserved set of bios. These also move their
 * pages in runs, several in one call of the hypervisor.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "swap.h"

#define SWAP_DISK_NAME	 "tidepool_swap0"
#define SWAP_HEADER_SLOT 0
#define SWAP_BIO_RESERVE 64

/* The smallest swap area that mkswap makes is ten pages. */
#define SWAP_SLOTS_MIN 10

static u64 sector_to_slot(sector_t sector)
{
	return sector >> PAGE_SECTORS_SHIFT;
}

/* Block 0 in a kernel page. */
static int swap_copy_header(struct tidepool_swap *swap, struct page *page, bool write)
{
	if (write)
		copy_highpage(swap->header, page);
	else
		copy_highpage(page, swap->header);
	return 0;
}

/*
 * Who is to do what the pool did not: @err is its answer for @page.
 *
 * Returns 0 when all is done, -ENODATA when the backing device is to do it, -ENOSPC or -EIO when
 * nobody can.
 */
static int swap_settle_page(struct tidepool_swap *swap, struct page *page, int err)
{
	if (swap->backing.bdev)
		return err == -ENOSPC ? -ENODATA : err;
	if (err == -ENODATA) {
		clear_highpage(page);
		return 0;
	}
	return err;
}

/* Moves one page between RAM and the pool. Returns what swap_settle_page() does. */
static int swap_move_page(struct tidepool_swap *swap, struct page *page, u64 slot, bool write)
{
	int err;

	if (slot == SWAP_HEADER_SLOT)
		return swap->backing.bdev ? -ENODATA : swap_copy_header(swap, page, write);

	err = write ? tidepool_pool_put(&swap->pool, slot, page)
		    : tidepool_pool_get(&swap->pool, slot, page);
	return swap_settle_page(swap, page, err);
}

/* swap_move_page() of @count pages at slots from @first on; the answers are in @errs. */
static void swap_move_run(struct tidepool_swap *swap, struct page *const *pages, int *errs,
			  unsigned int count, u64 first, bool write)
{
	unsigned int i;

	if (count == 1 || first == SWAP_HEADER_SLOT) {
		for (i = 0; i < count; i++)
			errs[i] = swap_move_page(swap, pages[i], first + i, write);
		return;
	}
	if (write)
		tidepool_pool_put_run(&swap->pool, first, pages, errs, count);
	else
		tidepool_pool_get_run(&swap->pool, first, pages, errs, count);
	for (i = 0; i < count; i++)
		errs[i] = swap_settle_page(swap, pages[i], errs[i]);
}

static void swap_redirect_bio(struct tidepool_swap *swap, struct bio *bio)
{
	bio_set_dev(bio, swap->backing.bdev);
	submit_bio_noacct(bio);
}

/* Sends one page of @parent to the backing device; @parent then ends after it. */
static void swap_redirect_page(struct tidepool_swap *swap, struct bio *parent, struct page *page,
			       sector_t sector)
{
	/* A mempool's allocation that may sleep does not fail. */
	struct bio *bio = bio_alloc_bioset(swap->backing.bdev, 1, parent->bi_opf, GFP_NOIO,
					   &swap->bios);

	bio->bi_iter.bi_sector = sector;
	__bio_add_page(bio, page, PAGE_SIZE, 0);
	bio_chain(bio, parent);
	submit_bio_noacct(bio);
}

/*
 * Takes the next run of pages of a bio and moves @iter behind it. Returns how many; 0 if there is
 * part of a page among them.
 */
static unsigned int swap_take_run(struct bio *bio, struct bvec_iter *iter, struct page **pages)
{
	unsigned int count = 0;
	struct bio_vec bvec;

	while (iter->bi_size && count < TIDEPOOL_POOL_RUN) {
		bvec = bio_iter_iovec(bio, *iter);
		if (bvec.bv_offset || bvec.bv_len != PAGE_SIZE)
			return 0;
		pages[count++] = bvec.bv_page;
		bio_advance_iter_single(bio, iter, PAGE_SIZE);
	}
	return count;
}

/* What the pool did not do of a run that begins at @sector. */
static void swap_redirect_run(struct tidepool_swap *swap, struct bio *bio,
			      struct page *const *pages, const int *errs, unsigned int count,
			      sector_t sector)
{
	unsigned int i;

	for (i = 0; i < count; i++, sector += PAGE_SECTORS) {
		if (errs[i] == -ENODATA)
			swap_redirect_page(swap, bio, pages[i], sector);
		else if (errs[i])
			bio->bi_status = errno_to_blk_status(errs[i]);
	}
}

static void swap_move_bio(struct tidepool_swap *swap, struct bio *bio)
{
	bool single = bio->bi_iter.bi_size == PAGE_SIZE;
	bool write = op_is_write(bio_op(bio));
	struct bvec_iter iter = bio->bi_iter;
	struct page *pages[TIDEPOOL_POOL_RUN];
	int errs[TIDEPOOL_POOL_RUN];
	unsigned int count;
	sector_t sector;

	while (iter.bi_size) {
		sector = iter.bi_sector;
		count = swap_take_run(bio, &iter, pages);
		if (!count) {
			bio->bi_status = BLK_STS_NOTSUPP; /* not swap, nor the page cache */
			break;
		}
		swap_move_run(swap, pages, errs, count, sector_to_slot(sector), write);
		if (single && errs[0] == -ENODATA) {
			swap_redirect_bio(swap, bio);
			return;
		}
		swap_redirect_run(swap, bio, pages, errs, count, sector);
	}
	bio_endio(bio);
}

static void swap_discard_bio(struct tidepool_swap *swap, struct bio *bio)
{
	tidepool_pool_flush_range(&swap->pool, sector_to_slot(bio->bi_iter.bi_sector),
				  sector_to_slot(bio_sectors(bio)));
	if (swap->backing.bdev && bdev_max_discard_sectors(swap->backing.bdev))
		swap_redirect_bio(swap, bio);
	else
		bio_endio(bio);
}

static void swap_submit_bio(struct bio *bio)
{
	struct tidepool_swap *swap = bio->bi_bdev->bd_disk->private_data;

	switch (bio_op(bio)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		swap_move_bio(swap, bio);
		break;
	case REQ_OP_DISCARD:
		swap_discard_bio(swap, bio);
		break;
	default:
		bio->bi_status = BLK_STS_NOTSUPP;
		bio_endio(bio);
		break;
	}
}

#ifdef TIDEPOOL_HAVE_RW_PAGE
/*
 * The fast way for one page. After any error the caller sends the page again as a bio: so does a
 * page find its way to the backing device, and a refused one is offered to the pool once more.
 */
static int swap_rw_page(struct block_device *bdev, sector_t sector, struct page *page,
			enum req_op op)
{
	struct tidepool_swap *swap = bdev->bd_disk->private_data;
	u64 slot = sector_to_slot(sector);
	bool write = op_is_write(op);
	int err;

	if (PageTransHuge(page))
		return -ENOTSUPP;
	if (slot >= swap->pool.slots)
		return -EIO;
	err = swap_move_page(swap, page, slot, write);
	if (!err)
		page_endio(page, write, 0);
	return err;
}
#endif

/* The kernel needs the slot's content no more. Called with a spinlock held. */
static void swap_free_slot(struct block_device *bdev, unsigned long slot)
{
	struct tidepool_swap *swap = bdev->bd_disk->private_data;

	tidepool_pool_flush(&swap->pool, slot);
}

static const struct block_device_operations swap_ops = {
	.owner = THIS_MODULE,
	.submit_bio = swap_submit_bio,
#ifdef TIDEPOOL_HAVE_RW_PAGE
	.rw_page = swap_rw_page,
#endif
	.swap_slot_free_notify = swap_free_slot,
};

/* How many pages the device has; 0 when @size_mib or the backing device is too small for swap. */
static u64 swap_size_slots(const struct tidepool_swap *swap, unsigned int size_mib)
{
	u64 slots = (u64)size_mib * (SZ_1M / PAGE_SIZE);

	if (swap->backing.bdev) {
		u64 backed = sector_to_slot(bdev_nr_sectors(swap->backing.bdev));

		slots = slots ? min(slots, backed) : backed;
	} else if (!slots) {
		slots = totalram_pages();
	}
	return slots < SWAP_SLOTS_MIN ? 0 : slots;
}

/* Where block 0 and refused pages go: the backing device, or a kernel page. */
static int swap_open_backing(struct tidepool_swap *swap, const char *path)
{
	int err;

	if (!path || !*path) {
		swap->header = alloc_page(GFP_KERNEL | __GFP_ZERO);
		return swap->header ? 0 : -ENOMEM;
	}
	err = tidepool_bdev_open(&swap->backing, path, swap);
	if (err) {
		swap->backing.bdev = NULL;
		pr_err("cannot open the backing device %s: error %d\n", path, err);
	}
	return err;
}

static void swap_close_backing(struct tidepool_swap *swap)
{
	if (swap->backing.bdev)
		tidepool_bdev_close(&swap->backing, swap);
	else
		__free_page(swap->header);
}

static int swap_add_disk(struct tidepool_swap *swap)
{
	struct gendisk *disk = tidepool_alloc_disk();
	int err;

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->fops = &swap_ops;
	disk->flags |= GENHD_FL_NO_PART;
	disk->private_data = swap;
	strscpy(disk->disk_name, SWAP_DISK_NAME, sizeof(disk->disk_name));
	set_capacity(disk, swap->pool.slots << PAGE_SECTORS_SHIFT);

	err = device_add_disk(NULL, disk, tidepool_swap_groups);
	if (err) {
		put_disk(disk);
		return err;
	}
	swap->disk = disk;
	return 0;
}

struct tidepool_swap *tidepool_swap_create(unsigned int size_mib, const char *backing)
{
	struct tidepool_swap *swap = kzalloc(sizeof(*swap), GFP_KERNEL);
	u64 slots;
	int err;

	if (!swap)
		return ERR_PTR(-ENOMEM);

	err = swap_open_backing(swap, backing);
	if (err)
		goto free_swap;

	slots = swap_size_slots(swap, size_mib);
	if (!slots) {
		pr_err("too small for swap: %u pages are the least\n", SWAP_SLOTS_MIN);
		err = -EINVAL;
		goto close_backing;
	}

	/* Several bios may be taken from the set inside one ->submit_bio(), hence the rescuer. */
	err = bioset_init(&swap->bios, SWAP_BIO_RESERVE, 0,
			  BIOSET_NEED_BVECS | BIOSET_NEED_RESCUER);
	if (err)
		goto close_backing;

	err = tidepool_pool_create(&swap->pool, slots);
	if (err)
		goto exit_bios;

	err = swap_add_disk(swap);
	if (err)
		goto destroy_pool;

	pr_info("/dev/%s: %llu pages, pool %lu, %s\n", SWAP_DISK_NAME, slots, swap->pool.id,
		swap->backing.bdev ? backing : "no backing device");
	return swap;

destroy_pool:
	tidepool_pool_destroy(&swap->pool);
exit_bios:
	bioset_exit(&swap->bios);
close_backing:
	swap_close_backing(swap);
free_swap:
	kfree(swap);
	return ERR_PTR(err);
}

void tidepool_swap_destroy(struct tidepool_swap *swap)
{
	del_gendisk(swap->disk);
	put_disk(swap->disk);
	tidepool_pool_destroy(&swap->pool);
	bioset_exit(&swap->bios);
	swap_close_backing(swap);
	kfree(swap);
}

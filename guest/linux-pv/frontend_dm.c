// SPDX-License-Identifier: GPL-2.0-only
/*
 * tidepool-dm.ko, the front end for disks that are set up before they are used: a device-mapper target
 * that maps a device one to one, and keeps the pages of the file system on it:
 *
 *   dmsetup create kept --table "0 SECTORS tidepool /dev/vdb"
 *
 * It needs nothing but device-mapper's own interface. What is written to the lower device past it
 * it does not see.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device-mapper.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "cache.h"

struct keeper {
	struct dm_dev *lower;
	struct tidepool_disk *disk;
};

struct keeper_io {
	struct tidepool_io io;
	bool recorded; /* its end is to be told */
};

static int keeper_map(struct dm_target *ti, struct bio *bio)
{
	struct keeper *keeper = ti->private;
	struct keeper_io *kio = dm_per_bio_data(bio, sizeof(*kio));
	bool write = op_is_write(bio_op(bio));
	unsigned int served;

	bio_set_dev(bio, keeper->lower->bdev);
	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	kio->recorded = bio_sectors(bio) && (write || bio_op(bio) == REQ_OP_READ);
	if (!kio->recorded)
		return DM_MAPIO_REMAPPED;

	if (bio_sectors(bio) > TIDEPOOL_IO_SECTORS)
		dm_accept_partial_bio(bio, TIDEPOOL_IO_SECTORS);
	kio->io = (struct tidepool_io){
		.disk = keeper->disk,
		.bdev = keeper->disk->gendisk->part0,
		.bio = bio,
		.iter = bio->bi_iter,
		.sector = bio->bi_iter.bi_sector,
	};
	if (write) {
		tidepool_write_start(&kio->io);
		return DM_MAPIO_REMAPPED;
	}
	served = tidepool_read_serve(&kio->io);
	if (!served) {
		tidepool_read_start(&kio->io);
		return DM_MAPIO_REMAPPED;
	}

	/* What is left comes here again. */
	if (served < bio->bi_iter.bi_size)
		dm_accept_partial_bio(bio, served >> SECTOR_SHIFT);
	kio->recorded = false;
	bio_endio(bio);
	return DM_MAPIO_SUBMITTED;
}

static int keeper_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct keeper_io *kio = dm_per_bio_data(bio, sizeof(*kio));

	if (kio->recorded && op_is_write(bio_op(bio)))
		tidepool_write_end(&kio->io, !*error);
	else if (kio->recorded)
		tidepool_read_end(&kio->io, !*error);
	return DM_ENDIO_DONE;
}

static int keeper_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct keeper *keeper;
	int err;

	if (argc != 1) {
		ti->error = "One argument is wanted: the device";
		return -EINVAL;
	}
	keeper = kzalloc(sizeof(*keeper), GFP_KERNEL);
	if (!keeper)
		return -ENOMEM;
	err = dm_get_device(ti, argv[0], dm_table_get_mode(ti->table), &keeper->lower);
	if (err) {
		ti->error = "No such device";
		goto free_keeper;
	}
	err = tidepool_cache_start();
	if (err) {
		ti->error = "The page cache's part of the driver does not start";
		goto put_device;
	}
	keeper->disk = tidepool_disk_add(dm_disk(dm_table_get_md(ti->table)), NULL);
	if (IS_ERR(keeper->disk)) {
		ti->error = "The device cannot be kept";
		err = PTR_ERR(keeper->disk);
		goto put_device;
	}

	ti->private = keeper;
	ti->per_io_data_size = sizeof(struct keeper_io);
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_discard_bios = 1;
	ti->num_write_zeroes_bios = 1;
	ti->num_secure_erase_bios = 1;
	return 0;

put_device:
	dm_put_device(ti, keeper->lower);
free_keeper:
	kfree(keeper);
	return err;
}

/* No bio is under way: the table has been replaced, or never used. */
static void keeper_dtr(struct dm_target *ti)
{
	struct keeper *keeper = ti->private;

	tidepool_disk_remove(keeper->disk);
	dm_put_device(ti, keeper->lower);
	kfree(keeper);
}

/* The device has its size by now, and all its bios come here. */
static void keeper_resume(struct dm_target *ti)
{
	struct keeper *keeper = ti->private;

	keeper->disk->capacity = get_capacity(keeper->disk->gendisk);
	WRITE_ONCE(keeper->disk->live, true);
}

static int keeper_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct keeper *keeper = ti->private;

	return fn(ti, keeper->lower, 0, ti->len, data);
}

static struct target_type keeper_type = {
	.name = "tidepool",
	.version = {1, 0, 0},
	.module = THIS_MODULE,
	.ctr = keeper_ctr,
	.dtr = keeper_dtr,
	.map = keeper_map,
	.end_io = keeper_end_io,
	.resume = keeper_resume,
	.iterate_devices = keeper_iterate_devices,
};

static int __init keeper_init(void)
{
	return dm_register_target(&keeper_type);
}

static void __exit keeper_exit(void)
{
	dm_unregister_target(&keeper_type);
}

module_init(keeper_init);
module_exit(keeper_exit);

MODULE_DESCRIPTION("Device-mapper target that keeps pages of files in Tidepool's store");
MODULE_AUTHOR("The Tidepool authors");
MODULE_LICENSE("GPL");

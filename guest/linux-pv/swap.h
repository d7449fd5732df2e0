/* SPDX-License-Identifier: GPL-2.0-only */
/* The swap device: a block device over a persistent pool, with an optional backing device. */
#ifndef TIDEPOOL_PV_SWAP_H
#define TIDEPOOL_PV_SWAP_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/sysfs.h>
#include <linux/types.h>

#include "compat.h"
#include "pool.h"

struct tidepool_swap {
	struct tidepool_pool pool;
	struct tidepool_bdev backing; /* .bdev is NULL without a backing device */
	struct page *header;	      /* slot 0, when there is no backing device to keep it */
	struct bio_set bios;	      /* for pages of one bio that go to the backing device */
	struct gendisk *disk;
};

/*
 * tidepool_swap_create - make the disk and show it to the system
 * @size_mib: capacity in MiB; 0: the backing device's, or without one as much as the guest has RAM
 * @backing:  path of a block device, opened for this driver alone; NULL or "": none
 *
 * Returns the device, owned by the caller until tidepool_swap_destroy(), or an ERR_PTR.
 * Context: may sleep.
 */
struct tidepool_swap *tidepool_swap_create(unsigned int size_mib, const char *backing);

/* tidepool_swap_destroy - undo it. Context: may sleep; nobody has the disk open. */
void tidepool_swap_destroy(struct tidepool_swap *swap);

/* The sysfs folders of the disk, NULL-terminated (stats.c). */
extern const struct attribute_group *tidepool_swap_groups[];

#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks whose pages several guests share, in a pool that the hypervisor's configuration names; see
 * "Shared" in cache.h.
 *
 * Which image is behind a disk nobody here has to guess: the hypervisor says so, in the disk's
 * virtio configuration. It gives no image to a disk that this guest may write to.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/device.h>
#include <linux/errno.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/virtio.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>

#include "cache.h"
#include "hypercall.h"
#include "pool.h"

#define NO_IMAGE 0

/* Disks that use a pool, by the pool's number: the hypervisor has one number for a name. */
static u8 users[TIDEPOOL_MAX_POOLS];

/* The virtio device of a disk of the hypervisor's own, or NULL. */
static struct virtio_device *disk_virtio(struct gendisk *gendisk)
{
	struct device *parent = disk_to_dev(gendisk)->parent;
	struct virtio_device *virtio;

	if (!parent || !parent->bus || strcmp(parent->bus->name, "virtio"))
		return NULL;
	virtio = dev_to_virtio(parent);
	return virtio->id.device == VIRTIO_ID_BLOCK && virtio->id.vendor == TIDEPOOL_VIRTIO_VENDOR
		       ? virtio
		       : NULL;
}

/* Returns the image behind a disk that nobody writes to, or NO_IMAGE. */
static u64 disk_image(struct gendisk *gendisk)
{
	struct virtio_device *virtio = disk_virtio(gendisk);

	if (!virtio || !get_disk_ro(gendisk) || !__virtio_test_bit(virtio, VIRTIO_BLK_F_RO))
		return NO_IMAGE;
	return virtio_cread64(virtio, TIDEPOOL_DISK_IMAGE);
}

/* The uuid of a shared pool is its name. */
static int open_pool(const char *name)
{
	u64 uuid[2] = {};
	long pool;

	if (!*name || strlen(name) >= TIDEPOOL_POOL_NAME) {
		pr_err("\"%s\": expected a pool's name, of at most 15 characters\n", name);
		return -EINVAL;
	}
	memcpy(uuid, name, strlen(name));
	pool = tidepool_pool_open(TIDEPOOL_POOL_SHARED, uuid[0], uuid[1]);
	if (pool == -TIDEPOOL_EPERM)
		pr_err("this guest has no right to an ephemeral pool %s\n", name);
	else if (pool < 0)
		pr_err("the hypervisor refused the pool %s: error %ld\n", name, pool);
	return (int)pool;
}

/* What is not there can be flushed by those who may. */
static bool may_put(unsigned int pool)
{
	return tidepool_call_flush_range(pool, NO_IMAGE, 0, 0, 1) >= 0;
}

int tidepool_share_open(struct tidepool_share *share, struct gendisk *gendisk, const char *name)
{
	u64 image = disk_image(gendisk);
	int pool;

	if (image == NO_IMAGE) {
		pr_err("%s: not a read-only disk of Tidepool's: its pages cannot be shared\n",
		       gendisk->disk_name);
		return -EINVAL;
	}
	pool = open_pool(name);
	if (pool < 0)
		return pool;
	strscpy(share->name, name, sizeof(share->name));
	share->image = image;
	share->pool = pool;
	share->puts = may_put(pool);
	users[pool]++;
	return 0;
}

void tidepool_share_close(const struct tidepool_share *share)
{
	if (--users[share->pool])
		return;
	/* Lets go of it: its pages are the others' too, and stay. */
	while (tidepool_call_destroy_pool(share->pool) == -TIDEPOOL_EAGAIN)
		cond_resched();
}

void tidepool_disk_close(struct tidepool_disk *disk)
{
	if (!xchg(&disk->closed, true))
		pr_err("%s: written to, or changed: its pages are shared no more\n",
		       disk->gendisk->disk_name);
}

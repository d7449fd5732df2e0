// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disks whose pages are kept. A place in the table, 0 to 15, is what entries name; the id that
 * keys name is never used twice, so whatever the pool holds under an old one is out of reach.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blk-integrity.h>
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "cache.h"

static struct tidepool_disk __rcu *disks[TIDEPOOL_DISKS];
static DEFINE_MUTEX(disks_lock); /* for whoever changes the table */
static atomic64_t last_id;

/* notrace, for the hook of the ftrace front end asks it. */
notrace struct tidepool_disk *tidepool_disk_at(unsigned int index)
{
	return rcu_dereference_raw(disks[index]);
}

static void disk_drained(struct percpu_ref *users)
{
	complete(&container_of(users, struct tidepool_disk, users)->drained);
}

static u64 disk_blocks(const struct tidepool_disk *disk)
{
	return DIV_ROUND_UP_ULL(disk->capacity, PAGE_SECTORS);
}

/*
 * Puts the disk where there is room. A device-mapper device may be there twice, while its table is
 * being replaced; a disk of the ftrace front end only once.
 */
static int disk_insert(struct tidepool_disk *disk)
{
	struct tidepool_disk *other;
	int free = -1;
	int i;

	for (i = TIDEPOOL_DISKS - 1; i >= 0; i--) {
		other = rcu_dereference_protected(disks[i], lockdep_is_held(&disks_lock));
		if (!other)
			free = i;
		else if (other->filtered && other->gendisk == disk->gendisk)
			return -EEXIST;
	}
	if (free < 0)
		return -ENOSPC;
	disk->index = free;
	rcu_assign_pointer(disks[free], disk);
	return 0;
}

struct tidepool_disk *tidepool_disk_add(struct gendisk *gendisk, const struct tidepool_share *share)
{
	struct tidepool_disk *disk;
	int err;

	if (blk_get_integrity(gendisk) || bdev_is_zoned(gendisk->part0) ||
	    get_capacity(gendisk) >> PAGE_SECTORS_SHIFT >= TIDEPOOL_BLOCKS_MAX)
		return ERR_PTR(-EINVAL);

	disk = kzalloc(sizeof(*disk), GFP_KERNEL);
	if (!disk)
		return ERR_PTR(-ENOMEM);
	disk->gendisk = gendisk;
	disk->capacity = get_capacity(gendisk);
	disk->id = atomic64_inc_return(&last_id);
	if (share)
		disk->share = *share;
	init_completion(&disk->drained);
	err = percpu_ref_init(&disk->users, disk_drained, 0, GFP_KERNEL);
	if (err)
		goto free_disk;

	mutex_lock(&disks_lock);
	err = disk_insert(disk);
	mutex_unlock(&disks_lock);
	if (err)
		goto exit_users;
	return disk;

exit_users:
	percpu_ref_exit(&disk->users);
free_disk:
	kfree(disk);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_GPL(tidepool_disk_add);

void tidepool_disk_remove(struct tidepool_disk *disk)
{
	/* From now on nothing is recorded or put, and after the bios on their way nothing is got. */
	WRITE_ONCE(disk->live, false);
	percpu_ref_kill(&disk->users);
	wait_for_completion(&disk->drained);
	percpu_ref_exit(&disk->users);

	synchronize_rcu(); /* puts that saw it live */
	tidepool_table_forget_disk(disk->index);
	mutex_lock(&disks_lock);
	rcu_assign_pointer(disks[disk->index], NULL);
	mutex_unlock(&disks_lock);
	synchronize_rcu();
	if (tidepool_disk_is_private(disk))
		tidepool_store_flush_disk(disk->id, disk_blocks(disk));
	else
		tidepool_share_close(&disk->share);
	kfree(disk);
}
EXPORT_SYMBOL_GPL(tidepool_disk_remove);

/*
 * The id first: a put or get that read a generation from before, and then the new id, will see that
 * the generation has moved.
 */
void tidepool_disk_renew(struct tidepool_disk *disk)
{
	WRITE_ONCE(disk->capacity, get_capacity(disk->gendisk));
	if (!tidepool_disk_is_private(disk)) {
		tidepool_disk_close(disk);
		return;
	}
	WRITE_ONCE(disk->id, atomic64_inc_return(&last_id));
	tidepool_generation_move_all();
	pr_info("%s: content may have changed; its pages are dropped\n",
		disk->gendisk->disk_name);
}

void tidepool_disk_retire_all(void)
{
	struct tidepool_disk *disk;
	unsigned int i;

	mutex_lock(&disks_lock);
	for (i = 0; i < TIDEPOOL_DISKS; i++) {
		disk = rcu_dereference_protected(disks[i], lockdep_is_held(&disks_lock));
		if (disk)
			WRITE_ONCE(disk->live, false);
	}
	synchronize_rcu(); /* puts that saw them live */
	for (i = 0; i < TIDEPOOL_DISKS; i++) {
		disk = rcu_dereference_protected(disks[i], lockdep_is_held(&disks_lock));
		if (disk && tidepool_disk_is_private(disk))
			tidepool_store_flush_disk(disk->id, disk_blocks(disk));
	}
	mutex_unlock(&disks_lock);
}

void tidepool_disk_renew_all(void)
{
	struct tidepool_disk *disk;
	unsigned int i;
	u64 id;

	mutex_lock(&disks_lock);
	for (i = 0; i < TIDEPOOL_DISKS; i++) {
		disk = rcu_dereference_protected(disks[i], lockdep_is_held(&disks_lock));
		if (!disk || !tidepool_disk_is_private(disk))
			continue;
		id = disk->id;
		tidepool_disk_renew(disk);
		tidepool_store_flush_disk(id, disk_blocks(disk));
	}
	mutex_unlock(&disks_lock);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page cache's part of the driver: starts and stops the rest of it, and lets disks be attached
 * and detached in /sys/kernel/tidepool/:
 *
 *   attach   write a device's path: pages of that disk are kept from now on; with pool=NAME
 *            behind it, in a pool that this guest shares with others (share.c)
 *   detach   write it again: no more; what was kept is dropped
 *   disks    the names of those that are attached, one a line; behind a shared one's name its
 *            pool and what this guest may do there, or that it is closed
 *   cache/   figures (cache_stats.c)
 *
 * Nothing of it runs, and no memory is taken, before the first disk is attached.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "cache.h"
#include "core.h"

static DEFINE_MUTEX(cache_lock); /* for starting, attaching and detaching */
static bool started;

/* The parts, in the order in which they are started. */
static const struct cache_part {
	int (*start)(void);
	void (*stop)(void);
} parts[] = {
	{tidepool_table_create, tidepool_table_destroy},
	{tidepool_generation_create, tidepool_generation_destroy},
	{tidepool_store_create, tidepool_store_destroy},
	{tidepool_accept_start, tidepool_accept_stop},
	{tidepool_filter_start, tidepool_filter_stop},
	{tidepool_evict_start, tidepool_evict_stop},
};

static int cache_start_parts(void)
{
	int err = 0;
	int i;

	for (i = 0; i < (int)ARRAY_SIZE(parts) && !err; i++)
		err = parts[i].start();
	if (!err)
		return 0;
	for (i -= 2; i >= 0; i--)
		parts[i].stop();
	return err;
}

static void cache_stop_parts(void)
{
	int i;

	for (i = ARRAY_SIZE(parts) - 1; i >= 0; i--)
		parts[i].stop();
}

/* Context: cache_lock held. */
static int cache_start(void)
{
	int err;

	if (started)
		return 0;
	err = cache_start_parts();
	if (err)
		return err;
	started = true;
	return 0;
}

/* Cuts "PATH pool=NAME" behind the path. Returns the name, NULL without one, or an ERR_PTR. */
static const char *cut_pool(char *words)
{
	static const char prefix[] = "pool=";
	char *rest = strchr(words, ' ');

	if (!rest)
		return NULL;
	*rest = '\0';
	rest = skip_spaces(rest + 1);
	if (strstarts(rest, prefix))
		return rest + strlen(prefix);
	pr_err("\"%s\": expected pool=NAME behind the disk\n", rest);
	return ERR_PTR(-EINVAL);
}

/* "vdb", or "vdb pool=base ro". */
static int emit_disk(char *buf, int at, const struct tidepool_disk *disk)
{
	const char *right = READ_ONCE(disk->closed) ? "closed" : disk->share.puts ? "rw" : "ro";

	if (tidepool_disk_is_private(disk))
		return sysfs_emit_at(buf, at, "%s\n", disk->gendisk->disk_name);
	return sysfs_emit_at(buf, at, "%s pool=%s %s\n", disk->gendisk->disk_name,
			     disk->share.name, right);
}

static void say_attached(const struct tidepool_disk *disk)
{
	if (tidepool_disk_is_private(disk))
		pr_info("%s: pages of its files are kept\n", disk->gendisk->disk_name);
	else
		pr_info("%s: pages of its files are %s the pool %s, as image %llu\n",
			disk->gendisk->disk_name, disk->share.puts ? "kept in" : "taken from",
			disk->share.name, disk->share.image);
}

static int cache_attach(char *words)
{
	const char *pool = cut_pool(words);
	struct tidepool_disk *disk;
	int err = PTR_ERR_OR_ZERO(pool);

	mutex_lock(&cache_lock);
	if (!err)
		err = cache_start();
	if (!err) {
		disk = tidepool_filter_attach(words, pool);
		err = PTR_ERR_OR_ZERO(disk);
	}
	if (err)
		pr_err("cannot attach %s: error %d\n", words, err);
	else
		say_attached(disk);
	mutex_unlock(&cache_lock);
	return err;
}

/* The attached disk that a path names, by the last part of it, or NULL. Context: cache_lock held. */
static struct tidepool_disk *cache_find(const char *path)
{
	struct tidepool_disk *disk;
	unsigned int i;

	for (i = 0; started && i < TIDEPOOL_DISKS; i++) {
		disk = tidepool_disk_at(i);
		if (disk && disk->filtered &&
		    !strcmp(disk->gendisk->disk_name, kbasename(path)))
			return disk;
	}
	return NULL;
}

static int cache_detach(char *path)
{
	struct tidepool_disk *disk;

	mutex_lock(&cache_lock);
	disk = cache_find(path);
	if (disk)
		tidepool_filter_detach(disk);
	mutex_unlock(&cache_lock);
	return disk ? 0 : -ENOENT;
}

/* A copy of what was written without the white space around it, to be freed. */
static char *written_words(const char *buf, size_t count)
{
	char *copy = kstrndup(buf, count, GFP_KERNEL);
	char *word;

	if (!copy)
		return NULL;
	word = strim(copy);
	memmove(copy, word, strlen(word) + 1);
	return copy;
}

static ssize_t write_words(const char *buf, size_t count, int (*act)(char *words))
{
	char *words = written_words(buf, count);
	int err;

	if (!words)
		return -ENOMEM;
	err = act(words);
	kfree(words);
	return err ? err : (ssize_t)count;
}

static ssize_t attach_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			    size_t count)
{
	return write_words(buf, count, cache_attach);
}

static ssize_t detach_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			    size_t count)
{
	return write_words(buf, count, cache_detach);
}

static ssize_t disks_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct tidepool_disk *disk;
	ssize_t length = 0;
	unsigned int i;

	mutex_lock(&cache_lock);
	for (i = 0; started && i < TIDEPOOL_DISKS; i++) {
		disk = tidepool_disk_at(i);
		if (disk)
			length += emit_disk(buf, length, disk);
	}
	mutex_unlock(&cache_lock);
	return length;
}

static struct kobj_attribute attach_attribute = __ATTR_WO(attach);
static struct kobj_attribute detach_attribute = __ATTR_WO(detach);
static struct kobj_attribute disks_attribute = __ATTR_RO(disks);

static const struct attribute *const cache_attributes[] = {
	&attach_attribute.attr,
	&detach_attribute.attr,
	&disks_attribute.attr,
	NULL,
};

int tidepool_cache_start(void)
{
	int err;

	mutex_lock(&cache_lock);
	err = cache_start();
	mutex_unlock(&cache_lock);
	return err;
}
EXPORT_SYMBOL_GPL(tidepool_cache_start);

/* A list with commas. A disk that cannot be attached is said and left out. */
static int cache_attach_list(const char *disks)
{
	char *copy = kstrdup(disks ? disks : "", GFP_KERNEL);
	char *rest = copy;
	char *path;

	if (!copy)
		return -ENOMEM;
	while ((path = strsep(&rest, ",")) != NULL) {
		if (*path)
			cache_attach(path);
	}
	kfree(copy);
	return 0;
}

/* A kernel that is started by kexec may not have the driver: nothing is left for it to be charged for. */
static int cache_notify_reboot(struct notifier_block *block, unsigned long event, void *data)
{
	/* Not to be waited for: the lock is held by who attaches a disk while the guest is frozen. */
	if (event != SYS_RESTART || !mutex_trylock(&cache_lock))
		return NOTIFY_DONE;
	if (started)
		tidepool_disk_retire_all();
	mutex_unlock(&cache_lock);
	return NOTIFY_DONE;
}

static struct notifier_block reboot_notifier = {
	.notifier_call = cache_notify_reboot,
};

int tidepool_cache_init(const char *disks)
{
	int err = register_reboot_notifier(&reboot_notifier);

	if (err)
		return err;
	err = sysfs_create_files(tidepool_kobj, cache_attributes);
	if (err)
		goto unregister_notifier;
	err = sysfs_create_group(tidepool_kobj, &tidepool_cache_group);
	if (err)
		goto remove_files;
	err = cache_attach_list(disks);
	if (err)
		goto remove_group;
	return 0;

remove_group:
	sysfs_remove_group(tidepool_kobj, &tidepool_cache_group);
remove_files:
	sysfs_remove_files(tidepool_kobj, cache_attributes);
unregister_notifier:
	unregister_reboot_notifier(&reboot_notifier);
	return err;
}

void tidepool_cache_renew(void)
{
	mutex_lock(&cache_lock);
	if (started)
		tidepool_disk_renew_all();
	mutex_unlock(&cache_lock);
}

void tidepool_cache_exit(void)
{
	struct tidepool_disk *disk;
	unsigned int i;

	unregister_reboot_notifier(&reboot_notifier);
	/* Waits for whoever writes to them. */
	sysfs_remove_group(tidepool_kobj, &tidepool_cache_group);
	sysfs_remove_files(tidepool_kobj, cache_attributes);
	if (!started)
		return;
	for (i = 0; i < TIDEPOOL_DISKS; i++) {
		disk = tidepool_disk_at(i);
		if (disk)
			tidepool_filter_detach(disk);
	}
	cache_stop_parts();
}

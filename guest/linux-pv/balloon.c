// SPDX-License-Identifier: GPL-2.0-only
/*
 * The balloon; see balloon.h.
 *
 * The hypervisor takes whole blocks of 2 MiB (docs/abi.md). Where the page allocator has none left,
 * single pages are collected: they press unused memory out of the guest's caches, and when all of a
 * block are here it is given. What is collected is returned as soon as a block can be had instead.
 *
 * Taking memory never makes the kernel kill: pages are asked for with __GFP_NORETRY, and only while
 * more than a floor is available. Falling below it (the shrinker) or the last moment before a kill
 * (the OOM notifier) take blocks back. No allocation that may wait is made under the lock, so that
 * these two can always have it.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/acpi.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/interrupt.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/platform_device.h>
#include <linux/printk.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/swap.h>
#include <linux/sysfs.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "balloon.h"
#include "compat.h"
#include "hypercall.h"

#define BLOCK_ORDER	 9
#define BLOCK_PAGES	 ((unsigned long)TIDEPOOL_BLOCK_FRAMES)
#define BLOCK_GFP	 (GFP_HIGHUSER | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_NOWARN)
#define ROUND_BLOCKS	 32	    /* given by one run of the work at most */
#define ROUND_PAGES	 2048	    /* collected by one at most */
#define RELIEF_BLOCKS	 8	    /* taken back when the guest is about to kill */
#define CALM		 (10 * HZ)  /* after such a moment nothing is given */
#define TAKE_TRIES	 50	    /* at unload, for memory that the host has not got */
#define TAKE_PAUSE_MS	 100
#define FLOOR_PART	 16	    /* of the RAM that is left to the guest is to be available */
#define FLOOR_MIN	 (BLOCK_PAGES * 4)

_Static_assert(PAGE_SIZE << BLOCK_ORDER == PMD_SIZE, "a block is what a huge page is");

static struct {
	struct mutex lock;	 /* the lists and counts below */
	struct list_head blocks; /* given: by the first of their pages; each page is one allocation */
	unsigned long block_count;
	struct list_head singles; /* collected pages */
	struct xarray collected;  /* how many of them each block has; index: pfn / BLOCK_PAGES */
	unsigned long single_count;

	unsigned long target; /* blocks that the hypervisor wants this guest to keep */
	unsigned long calm_until; /* jiffies */
	unsigned long gives, takes, take_refused, relieved; /* since the driver was loaded */
	bool stopping;

	struct tidepool_report *report; /* a page of its own */
	struct shrinker *shrinker;
	struct delayed_work work;
} balloon;

/* ---- single blocks ------------------------------------------------------------------------------
 */

static void account(struct page *page, long pages)
{
	adjust_managed_page_count(page, pages);
}

/*
 * The hypervisor's and every page of it taken out of dumps; on an error nothing has changed.
 * Context: lock held.
 */
static long balloon_give(struct page *block)
{
	unsigned long i;
	long err;

	do {
		err = tidepool_call_give_block(page_to_pfn(block));
	} while (err == -TIDEPOOL_EAGAIN);
	if (err)
		return err;
	for (i = 0; i < BLOCK_PAGES; i++)
		__SetPageOffline(block + i);
	list_add(&block->lru, &balloon.blocks);
	balloon.block_count++;
	balloon.gives++;
	return 0;
}

/* Frees a block's pages, which no list holds any more. */
static void free_block(struct page *block)
{
	unsigned long i;

	for (i = 0; i < BLOCK_PAGES; i++)
		__free_page(block + i);
	account(block, BLOCK_PAGES);
}

/* Takes any one block back. Returns 0, or -ENOMEM: the host has none. Context: lock held. */
static long balloon_take(void)
{
	struct page *block = list_first_entry(&balloon.blocks, struct page, lru);
	unsigned long i;
	long err;

	do {
		err = tidepool_call_take_block(page_to_pfn(block));
	} while (err == -TIDEPOOL_EAGAIN);
	if (err) {
		balloon.take_refused++;
		return err;
	}
	list_del(&block->lru);
	balloon.block_count--;
	balloon.takes++;
	for (i = 0; i < BLOCK_PAGES; i++)
		__ClearPageOffline(block + i);
	free_block(block);
	return 0;
}

/* ---- collected pages ----------------------------------------------------------------------------
 */

static unsigned long collected_of(unsigned long index)
{
	void *entry = xa_load(&balloon.collected, index);

	return entry ? xa_to_value(entry) : 0;
}

/* All of a block's pages are here: give it. Context: lock held. */
static void give_collected(unsigned long index)
{
	struct page *block = pfn_to_page(index * BLOCK_PAGES);
	unsigned long i;

	xa_erase(&balloon.collected, index);
	balloon.single_count -= BLOCK_PAGES;
	for (i = 0; i < BLOCK_PAGES; i++)
		list_del(&block[i].lru);
	if (balloon_give(block))
		free_block(block);
}

/* Returns false when there is no memory to remember it by. Context: lock held. */
static bool collect(struct page *page)
{
	unsigned long index = page_to_pfn(page) / BLOCK_PAGES;
	unsigned long count = collected_of(index) + 1;

	if (xa_err(xa_store(&balloon.collected, index, xa_mk_value(count),
			    GFP_NOWAIT | __GFP_NOWARN)))
		return false;
	account(page, -1);
	list_add(&page->lru, &balloon.singles);
	balloon.single_count++;
	if (count == BLOCK_PAGES)
		give_collected(index);
	return true;
}

/* Frees up to @pages collected pages. Returns how many. Context: lock held. */
static unsigned long release_singles(unsigned long pages)
{
	unsigned long freed = 0;

	while (freed < pages && balloon.single_count) {
		struct page *page = list_first_entry(&balloon.singles, struct page, lru);
		unsigned long index = page_to_pfn(page) / BLOCK_PAGES;
		unsigned long count = collected_of(index) - 1;

		/* No memory is needed to change or to erase an entry. */
		if (count)
			xa_store(&balloon.collected, index, xa_mk_value(count), GFP_NOWAIT);
		else
			xa_erase(&balloon.collected, index);
		list_del(&page->lru);
		balloon.single_count--;
		__free_page(page);
		account(page, 1);
		freed++;
	}
	return freed;
}

/* Frees at least @pages of what is here, if it can. Returns how many. Context: lock held. */
static unsigned long deflate(unsigned long pages)
{
	unsigned long freed = release_singles(pages);

	while (freed < pages && balloon.block_count) {
		if (balloon_take())
			break;
		freed += BLOCK_PAGES;
	}
	return freed;
}

/* ---- how much -----------------------------------------------------------------------------------
 */

/* RAM that the guest was started with; what of it is not present is less than a block. */
static unsigned long all_blocks(void)
{
	return DIV_ROUND_UP(get_num_physpages(), BLOCK_PAGES);
}

/* Pages that the hypervisor wants to be here. */
static unsigned long wanted(void)
{
	unsigned long all = all_blocks();

	return all > balloon.target ? (all - balloon.target) * BLOCK_PAGES : 0;
}

static unsigned long have(void)
{
	return balloon.block_count * BLOCK_PAGES + balloon.single_count;
}

/* What is to be available, without swapping, to a guest that gives memory. */
static unsigned long floor_pages(void)
{
	return max(totalram_pages() / FLOOR_PART, FLOOR_MIN);
}

static bool can_spare(unsigned long pages)
{
	return si_mem_available() > (long)(floor_pages() + pages);
}

static bool is_calm(void)
{
	return !time_before(jiffies, READ_ONCE(balloon.calm_until));
}

/* ---- the work -----------------------------------------------------------------------------------
 */

/* One block. Returns false when there is none to be had. */
static bool inflate_block(void)
{
	struct page *block = alloc_pages(BLOCK_GFP, BLOCK_ORDER);
	long err;

	if (!block)
		return false;
	split_page(block, BLOCK_ORDER);
	mutex_lock(&balloon.lock);
	account(block, -(long)BLOCK_PAGES);
	err = balloon_give(block);
	if (err)
		free_block(block);
	else
		release_singles(have() > wanted() ? have() - wanted() : 0);
	mutex_unlock(&balloon.lock);
	return !err;
}

static bool inflate_single(void)
{
	struct page *page = alloc_page(BLOCK_GFP);
	bool kept;

	if (!page)
		return false;
	mutex_lock(&balloon.lock);
	kept = collect(page);
	mutex_unlock(&balloon.lock);
	if (!kept)
		__free_page(page);
	return kept;
}

/* Returns whether to come back at once. */
static bool inflate(void)
{
	unsigned int n;

	for (n = 0; n < ROUND_BLOCKS; n++) {
		if (balloon.block_count * BLOCK_PAGES >= wanted() || !can_spare(BLOCK_PAGES) ||
		    !is_calm())
			return false;
		if (!inflate_block())
			break;
		cond_resched();
	}
	if (n)
		return true;
	for (n = 0; n < ROUND_PAGES; n++) {
		if (have() >= wanted() || !can_spare(BLOCK_PAGES) || !is_calm() ||
		    !inflate_single())
			break;
		cond_resched();
	}
	return false;
}

static bool deflate_to_target(void)
{
	bool again;

	mutex_lock(&balloon.lock);
	if (have() > wanted())
		deflate(min(have() - wanted(), ROUND_BLOCKS * BLOCK_PAGES));
	again = have() > wanted();
	mutex_unlock(&balloon.lock);
	return again;
}

/* The hypervisor reads this page when it likes, and takes nothing in it for granted. */
static void write_report(void)
{
	static unsigned long events[NR_VM_EVENT_ITEMS]; /* the work's alone */
	struct tidepool_report *report = balloon.report;

	all_vm_events(events);
	report->seconds = ktime_get_boottime_seconds();
	report->total = totalram_pages();
	report->free = global_zone_page_state(NR_FREE_PAGES);
	report->available = max(si_mem_available(), 0l);
	report->committed = vm_memory_committed();
	report->swap_in = events[PSWPIN];
	report->swap_out = events[PSWPOUT];
	report->refaults = global_node_page_state(WORKINGSET_REFAULT_FILE) +
			   global_node_page_state(WORKINGSET_REFAULT_ANON);
	report->collected = balloon.single_count;
}

static void balloon_work(struct work_struct *work)
{
	long target = tidepool_call_target();
	unsigned long taken = balloon.takes, given = balloon.gives;
	bool again;

	if (READ_ONCE(balloon.stopping)) /* an interrupt has queued it once more */
		return;
	if (target >= 0)
		balloon.target = target;
	again = deflate_to_target() && balloon.takes != taken;
	if (inflate() && balloon.gives != given)
		again = true;
	write_report();
	if (!READ_ONCE(balloon.stopping))
		queue_delayed_work(system_unbound_wq, &balloon.work, again ? 0 : HZ);
}

static irqreturn_t balloon_interrupt(int irq, void *data)
{
	mod_delayed_work(system_unbound_wq, &balloon.work, 0);
	return IRQ_HANDLED;
}

/* ---- when the guest needs it --------------------------------------------------------------------
 */

static void relieve(unsigned long freed)
{
	if (!freed)
		return;
	balloon.relieved++;
	WRITE_ONCE(balloon.calm_until, jiffies + CALM);
}

/* Reclaim alone is no reason: caches fill memory up to where it begins. */
static unsigned long balloon_count(struct shrinker *shrinker, struct shrink_control *control)
{
	unsigned long pages = READ_ONCE(balloon.block_count) * BLOCK_PAGES +
			      READ_ONCE(balloon.single_count);

	return pages && !can_spare(0) ? pages : 0;
}

static unsigned long balloon_scan(struct shrinker *shrinker, struct shrink_control *control)
{
	unsigned long freed;

	if (!mutex_trylock(&balloon.lock))
		return SHRINK_STOP;
	freed = deflate(min(control->nr_to_scan, RELIEF_BLOCKS * BLOCK_PAGES));
	relieve(freed);
	mutex_unlock(&balloon.lock);
	return freed ? freed : SHRINK_STOP;
}

/* Before a victim is chosen; what is freed lets the allocation try again. */
static int balloon_oom(struct notifier_block *notifier, unsigned long unused, void *data)
{
	unsigned long *freed = data, pages;

	mutex_lock(&balloon.lock);
	pages = deflate(RELIEF_BLOCKS * BLOCK_PAGES);
	relieve(pages);
	mutex_unlock(&balloon.lock);
	*freed += pages;
	return NOTIFY_OK;
}

static struct notifier_block oom_notifier = {
	.notifier_call = balloon_oom,
};

/* ---- coming and going ---------------------------------------------------------------------------
 */

/*
 * Takes all of it back. What the host has not got stays allocated for ever, as zeroes that nobody
 * uses: the pages' contents are not the kernel's to hand out.
 */
static void deflate_all(void)
{
	unsigned int tries = 0;
	unsigned long left;

	for (;;) {
		mutex_lock(&balloon.lock);
		deflate(ULONG_MAX);
		left = balloon.block_count;
		mutex_unlock(&balloon.lock);
		if (!left || tries++ == TAKE_TRIES)
			break;
		msleep(TAKE_PAUSE_MS);
	}
	if (left)
		pr_err("the hypervisor has no memory to return %lu MiB\n",
		       left * (PMD_SIZE >> 20));
}

/* The next kernel, be it by kexec or from the start, has to find all of its RAM. */
static int balloon_reboot(struct notifier_block *notifier, unsigned long event, void *data)
{
	if (event != SYS_RESTART)
		return NOTIFY_DONE;
	WRITE_ONCE(balloon.stopping, true);
	cancel_delayed_work_sync(&balloon.work);
	tidepool_call_report(TIDEPOOL_REPORT_NONE);
	deflate_all();
	return NOTIFY_DONE;
}

static struct notifier_block reboot_notifier = {
	.notifier_call = balloon_reboot,
};

/* What a kernel before this one left behind: after a crash nobody could take it back. */
static void take_leftovers(void)
{
	unsigned long pfn, end = __pa(high_memory) / PAGE_SIZE;

	for (pfn = 0; pfn < end; pfn += BLOCK_PAGES) {
		while (tidepool_call_take_block(pfn) == -TIDEPOOL_EAGAIN)
			cond_resched();
	}
}

static void balloon_stop(void *data)
{
	WRITE_ONCE(balloon.stopping, true);
	cancel_delayed_work_sync(&balloon.work);
	unregister_reboot_notifier(&reboot_notifier);
	unregister_oom_notifier(&oom_notifier);
	tidepool_shrinker_remove(balloon.shrinker);
	deflate_all();
	tidepool_call_report(TIDEPOOL_REPORT_NONE);
	free_page((unsigned long)balloon.report);
}

static int balloon_start(void)
{
	int err = -ENOMEM;

	balloon.report = (void *)get_zeroed_page(GFP_KERNEL);
	if (!balloon.report)
		return -ENOMEM;
	balloon.shrinker = tidepool_shrinker_add(balloon_count, balloon_scan);
	if (!balloon.shrinker)
		goto free_report;
	err = register_oom_notifier(&oom_notifier);
	if (err)
		goto remove_shrinker;
	err = register_reboot_notifier(&reboot_notifier);
	if (err)
		goto remove_oom_notifier;
	balloon.stopping = false;
	tidepool_call_report(virt_to_phys(balloon.report) / PAGE_SIZE);
	return 0;

remove_oom_notifier:
	unregister_oom_notifier(&oom_notifier);
remove_shrinker:
	tidepool_shrinker_remove(balloon.shrinker);
free_report:
	free_page((unsigned long)balloon.report);
	return err;
}

static int balloon_probe(struct platform_device *device)
{
	int irq = platform_get_irq(device, 0);
	int err;

	if (irq < 0)
		return irq;
	take_leftovers();
	err = balloon_start();
	if (err)
		return err;
	err = devm_add_action_or_reset(&device->dev, balloon_stop, NULL);
	if (err)
		return err;
	err = devm_request_irq(&device->dev, irq, balloon_interrupt, 0, "tidepool", &balloon);
	if (err)
		return err;
	queue_delayed_work(system_unbound_wq, &balloon.work, 0);
	return 0;
}

/* ---- figures: /sys/bus/platform/devices/TDPL0001:00/balloon/ ------------------------------------
 */

#define FIGURE(name, value)                                                                        \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf)   \
	{                                                                                          \
		return sysfs_emit(buf, "%lu\n", (unsigned long)(value));                           \
	}                                                                                          \
	static DEVICE_ATTR_RO(name)

FIGURE(target_kib, balloon.target *BLOCK_PAGES *(PAGE_SIZE / 1024));
FIGURE(given_kib, balloon.block_count *BLOCK_PAGES *(PAGE_SIZE / 1024));
FIGURE(collected_kib, balloon.single_count *(PAGE_SIZE / 1024));
FIGURE(gives, balloon.gives);
FIGURE(takes, balloon.takes);
FIGURE(take_refused, balloon.take_refused);
FIGURE(relieved, balloon.relieved);

static struct attribute *balloon_attributes[] = {
	&dev_attr_target_kib.attr, &dev_attr_given_kib.attr, &dev_attr_collected_kib.attr,
	&dev_attr_gives.attr,	   &dev_attr_takes.attr,     &dev_attr_take_refused.attr,
	&dev_attr_relieved.attr,   NULL,
};

static const struct attribute_group balloon_group = {
	.name = "balloon",
	.attrs = balloon_attributes,
};

static const struct attribute_group *balloon_groups[] = {&balloon_group, NULL};

static const struct acpi_device_id balloon_ids[] = {
	{TIDEPOOL_ACPI_ID, 0},
	{},
};
MODULE_DEVICE_TABLE(acpi, balloon_ids);

static struct platform_driver balloon_driver = {
	.probe = balloon_probe,
	.driver = {
		.name = KBUILD_MODNAME,
		.acpi_match_table = balloon_ids,
		.dev_groups = balloon_groups,
	},
};

int tidepool_balloon_init(void)
{
	mutex_init(&balloon.lock);
	INIT_LIST_HEAD(&balloon.blocks);
	INIT_LIST_HEAD(&balloon.singles);
	xa_init(&balloon.collected);
	INIT_DEFERRABLE_WORK(&balloon.work, balloon_work);
	balloon.calm_until = jiffies;
	return platform_driver_register(&balloon_driver);
}

void tidepool_balloon_exit(void)
{
	platform_driver_unregister(&balloon_driver);
	xa_destroy(&balloon.collected);
}

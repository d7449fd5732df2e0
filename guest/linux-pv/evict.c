// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to pages of the page cache, as tracepoints and two patched function entries tell it:
 * they come, become dirty, move to another frame, are zeroed in part, and go. See cache.h, rules 1,
 * 4, 5 and 7.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/migrate.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

#include "cache.h"
#include "test.h"

static bool keep_dropped;
module_param(keep_dropped, bool, 0644);
MODULE_PARM_DESC(keep_dropped,
		 "Keep also pages that user space dropped: posix_fadvise(POSIX_FADV_DONTNEED), "
		 "/proc/sys/vm/drop_caches (default: no; who drops a page has no more use for it)");

/* Called with the folio locked, after it was added. */
static void evict_probe_add(void *data, struct folio *folio)
{
	if (tidepool_rule(TIDEPOOL_RULE_ADD))
		tidepool_table_clear_folio(folio);
}

/* Called for each change from clean to dirty, with the mapping's lock held. */
static void evict_probe_dirty(void *data, struct folio *folio, struct address_space *mapping)
{
	if (tidepool_rule(TIDEPOOL_RULE_DIRTY))
		tidepool_table_clear_folio(folio);
}

/*
 * Whether the content of a folio that goes is to be kept. __remove_mapping() of reclaim freezes the
 * count of references at 0, so that nobody can change it; truncation and invalidation do not.
 */
static bool evict_wants(struct folio *folio)
{
	if (folio_ref_count(folio) && tidepool_rule(TIDEPOOL_RULE_FROZEN))
		return false;
	if (!folio_test_uptodate(folio) || folio_test_dirty(folio) || folio_test_writeback(folio))
		return false;
	/* kswapd, direct reclaim, reclaim for a control group */
	return current->flags & PF_MEMALLOC || READ_ONCE(keep_dropped);
}

/* Whether an entry, just taken, says that the page is worth a put; rule 5 but for generations. */
static bool evict_page_fits(struct page *page, u64 entry)
{
	if (tidepool_entry_state(entry) != TIDEPOOL_PAGE_VALID)
		return false;
	return tidepool_table_owns(page) || !tidepool_rule(TIDEPOOL_RULE_OWNER);
}

/* Called with i_lock and the mapping's lock held, interrupts off. */
static void evict_probe_delete(void *data, struct folio *folio)
{
	struct tidepool_batch *batch = NULL;
	long count = folio_nr_pages(folio);
	bool wanted = evict_wants(folio);
	u64 start = tidepool_test_now();
	struct tidepool_disk *disk;
	struct page *page;
	u64 entry;
	long i;

	for (i = 0; i < count; i++) {
		page = folio_page(folio, i);
		entry = tidepool_table_take(page);
		if (!entry)
			continue;
		if (!wanted) {
			tidepool_cache_add(dropped, 1);
			continue;
		}
		disk = tidepool_disk_at(tidepool_entry_disk(entry));
		if (!disk || !tidepool_disk_puts(disk) || !evict_page_fits(page, entry)) {
			tidepool_cache_add(unused, 1);
			continue;
		}
		if (!batch)
			batch = tidepool_batch_open(disk);
		if (batch->disk != disk)
			continue; /* a folio is on one disk; two front ends on the way may differ */
		tidepool_batch_add_put(batch, page, entry);
		if (batch->count == TIDEPOOL_BATCH)
			tidepool_batch_put(batch);
	}
	if (batch) {
		tidepool_batch_put(batch);
		tidepool_batch_close(batch);
	}
	tidepool_test_note(start, count);
}

/* folio_migrate_flags(new, old): the content is copied, both are locked. */
static void notrace evict_hook_migrate(unsigned long ip, unsigned long parent_ip,
				       struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);

	if (regs && tidepool_rule(TIDEPOOL_RULE_MIGRATE))
		tidepool_table_move_folio((struct folio *)regs_get_kernel_argument(regs, 0),
					  (struct folio *)regs_get_kernel_argument(regs, 1));
}

/* truncate_inode_partial_folio(folio, start, end): locked, about to be zeroed in part. */
static void notrace evict_hook_zero(unsigned long ip, unsigned long parent_ip,
				    struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);

	if (regs && tidepool_rule(TIDEPOOL_RULE_ZERO)) {
		tidepool_table_clear_folio((struct folio *)regs_get_kernel_argument(regs, 0));
		tidepool_cache_add(zeroed, 1);
	}
}

/* Permanent: the sysctl kernel.ftrace_enabled must not turn them off while pages are kept. */
#define HOOK_FLAGS (FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_RECURSION | FTRACE_OPS_FL_PERMANENT)

static struct ftrace_ops migrate_ops = {
	.func = evict_hook_migrate,
	.flags = HOOK_FLAGS,
};

static struct ftrace_ops zero_ops = {
	.func = evict_hook_zero,
	.flags = HOOK_FLAGS,
};

static struct evict_tracepoint {
	const char *name;
	void *probe;
	struct tracepoint *tracepoint;
	bool registered;
} tracepoints[] = {
	{.name = "mm_filemap_add_to_page_cache", .probe = evict_probe_add},
	{.name = "writeback_dirty_folio", .probe = evict_probe_dirty},
	{.name = "mm_filemap_delete_from_page_cache", .probe = evict_probe_delete},
};

/* They are not exported; the list of all is. */
static void evict_find_tracepoint(struct tracepoint *tracepoint, void *data)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tracepoints); i++) {
		if (!strcmp(tracepoint->name, tracepoints[i].name))
			tracepoints[i].tracepoint = tracepoint;
	}
}

static int evict_register_tracepoints(void)
{
	unsigned int i;
	int err;

	for_each_kernel_tracepoint(evict_find_tracepoint, NULL);
	for (i = 0; i < ARRAY_SIZE(tracepoints); i++) {
		err = tracepoints[i].tracepoint
			      ? tracepoint_probe_register(tracepoints[i].tracepoint,
							  tracepoints[i].probe, NULL)
			      : -ENOENT;
		if (err) {
			pr_err("no tracepoint %s: error %d\n", tracepoints[i].name, err);
			return err;
		}
		tracepoints[i].registered = true;
	}
	return 0;
}

static void evict_unregister_tracepoints(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tracepoints); i++) {
		if (tracepoints[i].registered)
			tracepoint_probe_unregister(tracepoints[i].tracepoint,
						    tracepoints[i].probe, NULL);
		tracepoints[i].registered = false;
	}
	tracepoint_synchronize_unregister();
}

static int evict_register_hooks(void)
{
	static unsigned char zero_name[] = "truncate_inode_partial_folio"; /* not exported */
	int err;

	err = ftrace_set_filter_ip(&migrate_ops, (unsigned long)folio_migrate_flags, 0, 0);
	if (!err)
		err = register_ftrace_function(&migrate_ops);
	if (err) {
		pr_err("cannot watch pages migrate: error %d\n", err);
		return err;
	}
	err = ftrace_set_filter(&zero_ops, zero_name, sizeof(zero_name) - 1, 0);
	if (!err)
		err = register_ftrace_function(&zero_ops);
	if (err) {
		pr_err("cannot watch folios being zeroed in part: error %d\n", err);
		unregister_ftrace_function(&migrate_ops);
	}
	return err;
}

int tidepool_evict_start(void)
{
	int err = evict_register_hooks();

	if (err)
		return err;
	err = evict_register_tracepoints();
	if (err)
		tidepool_evict_stop();
	return err;
}

void tidepool_evict_stop(void)
{
	evict_unregister_tracepoints();
	unregister_ftrace_function(&zero_ops);
	unregister_ftrace_function(&migrate_ops);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose pages are kept: see "Accepted" in cache.h.
 *
 * File systems are told by the operations of their mappings, and these by the name of the symbol.
 * It is looked up once for each table of operations; when a module goes, all is forgotten, for
 * another one may be loaded in its place.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/kallsyms.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pagemap.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "cache.h"
#include "test.h"

/*
 * Not in it, and why: ext4_journalled_aops (data reaches its block by way of the journal), btrfs
 * (blocks shared by files, zeroed before they are copied), the mappings of block devices (metadata
 * changes in buffers without becoming dirty).
 */
static const char *const accepted_names[] = {
	"ext4_da_aops",
	"ext4_aops",
	"xfs_address_space_operations",
};

#define KNOWN_MAX 16u

static struct {
	const struct address_space_operations *operations;
	bool accepted;
} known[KNOWN_MAX];
static unsigned int known_count;
static DEFINE_SPINLOCK(known_lock); /* for whoever changes the two above; taken with irqs off */

static bool operations_look_up(const struct address_space_operations *operations)
{
	char name[KSYM_SYMBOL_LEN];
	bool accepted;

	sprint_symbol_no_offset(name, (unsigned long)operations);
	*strchrnul(name, ' ') = '\0'; /* the name of a module may follow */
	accepted = match_string(accepted_names, ARRAY_SIZE(accepted_names), name) >= 0;
	pr_info("files of mappings with %s: %s\n", name, accepted ? "kept" : "left alone");
	return accepted;
}

static bool operations_are_accepted(const struct address_space_operations *operations)
{
	unsigned int count = smp_load_acquire(&known_count);
	unsigned long flags;
	unsigned int i;
	bool accepted;

	for (i = 0; i < count; i++) {
		if (known[i].operations == operations)
			return known[i].accepted;
	}

	accepted = operations_look_up(operations);
	spin_lock_irqsave(&known_lock, flags);
	if (known_count < KNOWN_MAX) {
		known[known_count].operations = operations;
		known[known_count].accepted = accepted;
		smp_store_release(&known_count, known_count + 1);
	}
	spin_unlock_irqrestore(&known_lock, flags);
	return accepted;
}

static int accept_notify_module(struct notifier_block *block, unsigned long event, void *data)
{
	unsigned long flags;

	if (event != MODULE_STATE_GOING)
		return NOTIFY_DONE;
	spin_lock_irqsave(&known_lock, flags);
	WRITE_ONCE(known_count, 0);
	spin_unlock_irqrestore(&known_lock, flags);
	synchronize_rcu(); /* whoever compared with the old ones; interrupts are off there, or RCU */
	return NOTIFY_OK;
}

static struct notifier_block module_notifier = {
	.notifier_call = accept_notify_module,
};

int tidepool_accept_start(void)
{
	return register_module_notifier(&module_notifier);
}

void tidepool_accept_stop(void)
{
	unregister_module_notifier(&module_notifier);
}

bool tidepool_accept_folio(struct folio *folio, struct block_device *bdev)
{
	struct address_space *mapping = READ_ONCE(folio->mapping);
	struct inode *inode;

	/* Anonymous memory, other uses of the field, slab, swap. */
	if (!mapping || (unsigned long)mapping & PAGE_MAPPING_FLAGS)
		return false;
	if (folio_test_slab(folio) || folio_test_swapbacked(folio) || folio_test_swapcache(folio))
		return false;
	inode = mapping->host;
	if (!inode || !S_ISREG(inode->i_mode) || IS_ENCRYPTED(inode))
		return false;
	if (inode->i_sb->s_bdev != bdev && tidepool_rule(TIDEPOOL_RULE_DEVICE)) {
		tidepool_cache_add(foreign, 1);
		return false;
	}
	return operations_are_accepted(mapping->a_ops);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blocks of disks in the private ephemeral pool, and of shared images in shared ones. A key's object
 * is a disk (an image) and 16 MiB of it, the index a block in these; so a large discard is a few
 * calls.
 *
 * Pages go in batches, of a folio or of a bio. The list of a batch has to be memory that is
 * contiguous for the host: 32 KiB for each CPU, used with interrupts off, since reclaim puts
 * where it cannot be asked to wait.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "cache.h"
#include "hypercall.h"
#include "pool.h"
#include "test.h"

#define OBJECT_BITS   12
#define OBJECT_BLOCKS (1ull << OBJECT_BITS)

static DEFINE_PER_CPU(struct tidepool_batch *, batches);
static unsigned long pool;

#define CALLS_ORDER get_order(TIDEPOOL_BATCH * sizeof(struct tidepool_descriptor))

/* The kernel's own allocators both: the hypervisor is told addresses of the list, and of its byte. */
static struct tidepool_batch *alloc_batch(void)
{
	struct tidepool_batch *batch = kzalloc(sizeof(*batch), GFP_KERNEL);

	if (!batch)
		return NULL;
	batch->calls = (void *)__get_free_pages(GFP_KERNEL, CALLS_ORDER);
	if (!batch->calls) {
		kfree(batch);
		return NULL;
	}
	return batch;
}

static void free_batches(void)
{
	struct tidepool_batch *batch;
	int cpu;

	for_each_possible_cpu(cpu) {
		batch = per_cpu(batches, cpu);
		per_cpu(batches, cpu) = NULL;
		if (!batch)
			continue;
		free_pages((unsigned long)batch->calls, CALLS_ORDER);
		kfree(batch);
	}
}

int tidepool_store_create(void)
{
	long id;
	int cpu;

	for_each_possible_cpu(cpu) {
		per_cpu(batches, cpu) = alloc_batch();
		if (!per_cpu(batches, cpu)) {
			free_batches();
			return -ENOMEM;
		}
	}
	id = tidepool_pool_open(0, 0, 0);
	if (id < 0) {
		pr_err("the hypervisor refused an ephemeral pool: error %ld\n", id);
		free_batches();
		return (int)id;
	}
	pool = id;
	return 0;
}

void tidepool_store_destroy(void)
{
	while (tidepool_call_destroy_pool(pool) == -TIDEPOOL_EAGAIN)
		cond_resched();
	free_batches();
}

struct tidepool_batch *tidepool_batch_open(struct tidepool_disk *disk)
{
	struct tidepool_batch *batch;
	unsigned long flags;

	local_irq_save(flags);
	batch = __this_cpu_read(batches);
	batch->flags = flags;
	batch->disk = disk;
	batch->count = 0;
	return batch;
}

void tidepool_batch_close(struct tidepool_batch *batch)
{
	local_irq_restore(batch->flags);
}

static void batch_add(struct tidepool_batch *batch, struct page *page, u64 place, u32 word)
{
	batch->slots[batch->count].page = page;
	batch->slots[batch->count].place = place;
	batch->slots[batch->count].word = word;
	batch->count++;
}

void tidepool_batch_add_put(struct tidepool_batch *batch, struct page *page, u64 entry)
{
	u64 place = tidepool_entry_place(entry);
	u32 word;

	if (tidepool_generation_claim(place, tidepool_entry_generation(entry), &word))
		batch_add(batch, page, place, word);
	else
		tidepool_cache_add(stale, 1);
}

bool tidepool_batch_add_get(struct tidepool_batch *batch, struct page *page, u64 place)
{
	u32 word = tidepool_generation_word(place);

	/* In a shared pool it may be all the same: others put. */
	if (!tidepool_generation_was_put(word) && tidepool_disk_is_private(batch->disk))
		return false;
	batch_add(batch, page, place, word);
	return true;
}

static unsigned long disk_pool(const struct tidepool_disk *disk)
{
	return tidepool_disk_is_private(disk) ? pool : disk->share.pool;
}

/* Writes the list of calls. The disk's id is read here, after the generations (disk.c, renew). */
static void batch_prepare(struct tidepool_batch *batch, unsigned int op)
{
	const struct tidepool_disk *disk = batch->disk;
	struct tidepool_descriptor *call;
	unsigned int i;
	u64 block;

	batch->id = tidepool_disk_is_private(disk) ? READ_ONCE(disk->id) : disk->share.image;
	for (i = 0; i < batch->count; i++) {
		call = &batch->calls[i];
		block = tidepool_entry_block(batch->slots[i].place);
		call->op = op;
		call->pool = disk_pool(disk);
		call->oid[0] = batch->id;
		call->oid[1] = block >> OBJECT_BITS;
		call->oid[2] = 0;
		call->index = block & (OBJECT_BLOCKS - 1);
		call->frame = page_to_pfn(batch->slots[i].page);
		call->span = 0;
		call->result = -TIDEPOOL_EINVAL; /* unless the hypervisor writes another one */
	}
}

static void batch_flush(const struct tidepool_batch *batch, unsigned int i)
{
	u64 block = tidepool_entry_block(batch->slots[i].place);

	tidepool_call_flush_range(disk_pool(batch->disk), batch->id, block >> OBJECT_BITS,
				  block & (OBJECT_BLOCKS - 1), 1);
}

/* After the put of one page: its figures, and rule 5's last part. */
static void batch_settle_put(struct tidepool_batch *batch, unsigned int i)
{
	u64 place = batch->slots[i].place;
	long result = batch->calls[i].result;

	switch (result) {
	case 0:
		tidepool_cache_add(puts, 1);
		if (!tidepool_disk_is_private(batch->disk))
			tidepool_cache_add(shared_puts, 1);
		break;
	case -TIDEPOOL_ENOMEM:
	case -TIDEPOOL_ENOSPC:
	case -TIDEPOOL_EFROZEN:
		tidepool_cache_add(refused, 1);
		break;
	default:
		pr_err_ratelimited("put of a block failed: error %ld\n", result);
		break;
	}
	if (!tidepool_generation_kept(place, batch->slots[i].word) &&
	    tidepool_rule(TIDEPOOL_RULE_RECHECK)) {
		batch_flush(batch, i);
		tidepool_cache_add(raced, 1);
	}
	tidepool_generation_release(place);
}

/* For tests: what a hypervisor does that has no room for any of the batch. */
static void batch_refuse(struct tidepool_batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->count; i++) {
		batch_flush(batch, i);
		batch->calls[i].result = -TIDEPOOL_ENOSPC;
	}
}

/*
 * Leaves of the batch what a shared pool does not have: other guests may have put it, or this one
 * got it from there. Whether a page is there is asked by reading a byte of it.
 */
static void batch_drop_present(struct tidepool_batch *batch)
{
	unsigned int kept = 0;
	unsigned int i;

	batch_prepare(batch, TIDEPOOL_OP_READ);
	for (i = 0; i < batch->count; i++) {
		batch->calls[i].frame = page_to_pfn(virt_to_page(&batch->byte));
		batch->calls[i].span = TIDEPOOL_SPAN(1, 0, offset_in_page(&batch->byte));
	}
	if (tidepool_call_each(batch->calls, batch->count))
		return;
	for (i = 0; i < batch->count; i++) {
		if (batch->calls[i].result)
			batch->slots[kept++] = batch->slots[i];
		else
			tidepool_generation_release(batch->slots[i].place);
	}
	tidepool_cache_add(present, batch->count - kept);
	batch->count = kept;
}

void tidepool_batch_put(struct tidepool_batch *batch)
{
	long result = 0;
	unsigned int i;

	if (batch->count && !tidepool_disk_is_private(batch->disk))
		batch_drop_present(batch);
	if (!batch->count)
		return;
	tidepool_test_note_list(batch->count);
	batch_prepare(batch, TIDEPOOL_OP_PUT_PAGE);
	tidepool_test_pause(TIDEPOOL_PAUSE_CLAIMED);
	if (tidepool_test_refuse())
		batch_refuse(batch);
	else
		result = tidepool_call_each(batch->calls, batch->count);
	if (result)
		pr_err_ratelimited("put of %u blocks failed: error %ld\n", batch->count, result);
	tidepool_test_pause(TIDEPOOL_PAUSE_PUT);
	for (i = 0; i < batch->count; i++)
		batch_settle_put(batch, i);
	batch->count = 0;
}

static bool batch_is_unmoved(const struct tidepool_batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->count; i++) {
		if (!tidepool_generation_unmoved(batch->slots[i].place, batch->slots[i].word))
			return false;
	}
	return true;
}

bool tidepool_batch_get(struct tidepool_batch *batch)
{
	long result;

	batch_prepare(batch, TIDEPOOL_OP_GET_PAGE);
	result = tidepool_call_vector(batch->calls, batch->count, TIDEPOOL_VECTOR_ALL);
	if (result < 0) {
		if (result != -TIDEPOOL_ENOENT)
			pr_err_ratelimited("get of %u blocks failed: error %ld\n", batch->count,
					   result);
		return false;
	}
	tidepool_test_pause(TIDEPOOL_PAUSE_GOT);
	if (!batch_is_unmoved(batch) && tidepool_rule(TIDEPOOL_RULE_CLAIM)) {
		tidepool_cache_add(late, batch->count);
		return false;
	}
	tidepool_cache_add(gets, batch->count);
	if (!tidepool_disk_is_private(batch->disk))
		tidepool_cache_add(shared_gets, batch->count);
	return true;
}

/* Drops @count blocks of one object from @index on. */
static void flush_in_object(u64 id, u64 object, u64 index, u64 count)
{
	long result;

	if (count == OBJECT_BLOCKS) {
		do {
			result = tidepool_call_flush_object(pool, id, object);
		} while (result == -TIDEPOOL_EAGAIN);
		count = 0;
	}
	while (count) {
		result = tidepool_call_flush_range(pool, id, object, index, count);
		if (result <= 0)
			break;
		index += result;
		count -= result;
	}
	if (count || result < 0)
		pr_err_ratelimited("flush of object %llu failed: error %ld\n", object, result);
}

void tidepool_store_flush(struct tidepool_disk *disk, u64 first, u64 count)
{
	u64 id = READ_ONCE(disk->id);
	u64 step;

	if (!tidepool_disk_is_private(disk))
		return;
	tidepool_cache_add(flushed, count);
	while (count) {
		step = min(count, OBJECT_BLOCKS - (first & (OBJECT_BLOCKS - 1)));
		flush_in_object(id, first >> OBJECT_BITS, first & (OBJECT_BLOCKS - 1), step);
		first += step;
		count -= step;
	}
}

void tidepool_store_flush_disk(u64 id, u64 blocks)
{
	u64 object;

	for (object = 0; object << OBJECT_BITS < blocks; object++) {
		flush_in_object(id, object, 0, OBJECT_BLOCKS);
		cond_resched();
	}
}

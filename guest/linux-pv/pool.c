// SPDX-License-Identifier: GPL-2.0-only
/* A persistent tmem pool of numbered pages; see pool.h. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "hypercall.h"
#include "pool.h"

#define FROZEN_WAIT_MS 100u /* between two tries for a pool */

static void pool_count_add(struct tidepool_pool *pool, unsigned int which, s64 n)
{
	this_cpu_add(pool->cpus->counts[which], n);
}

/* The slot's page has come or gone: the bit and the count of pages held move together. */
static void pool_mark_present(struct tidepool_pool *pool, u64 slot)
{
	if (!test_and_set_bit(slot, pool->present))
		pool_count_add(pool, TIDEPOOL_QUERY_HELD, 1);
}

static bool pool_mark_absent(struct tidepool_pool *pool, u64 slot)
{
	if (!test_and_clear_bit(slot, pool->present))
		return false;
	pool_count_add(pool, TIDEPOOL_QUERY_HELD, -1);
	return true;
}

static void pool_free_cpus(struct tidepool_pool *pool)
{
	int cpu;

	for_each_possible_cpu(cpu)
		kfree(per_cpu_ptr(pool->cpus, cpu)->calls);
	free_percpu(pool->cpus);
}

/*
 * A list of calls is aligned, and contiguous for the host. Memory of kmalloc() is, of a power of
 * two; per-CPU memory need not be.
 */
static int pool_alloc_cpus(struct tidepool_pool *pool)
{
	size_t bytes = TIDEPOOL_POOL_RUN * sizeof(struct tidepool_descriptor);
	struct tidepool_pool_cpu *own;
	int cpu;

	BUILD_BUG_ON(!is_power_of_2(TIDEPOOL_POOL_RUN * sizeof(struct tidepool_descriptor)));
	pool->cpus = alloc_percpu(struct tidepool_pool_cpu);
	if (!pool->cpus)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		own = per_cpu_ptr(pool->cpus, cpu);
		own->calls = kmalloc(bytes, GFP_KERNEL);
		if (!own->calls) {
			pool_free_cpus(pool);
			return -ENOMEM;
		}
	}
	return 0;
}

long tidepool_pool_open(unsigned long flags, u64 uuid_low, u64 uuid_high)
{
	bool said = false;
	long id;

	while ((id = tidepool_call_new_pool(flags, uuid_low, uuid_high)) == -TIDEPOOL_EFROZEN) {
		if (!said)
			pr_info("this guest is frozen: waiting until it may have a pool\n");
		said = true;
		if (msleep_interruptible(FROZEN_WAIT_MS))
			return -EINTR;
	}
	return id;
}

int tidepool_pool_create(struct tidepool_pool *pool, u64 slots)
{
	long id;

	pool->slots = slots;
	pool->present = vzalloc(BITS_TO_LONGS(slots) * sizeof(long));
	if (!pool->present)
		return -ENOMEM;
	if (pool_alloc_cpus(pool)) {
		vfree(pool->present);
		return -ENOMEM;
	}

	id = tidepool_pool_open(TIDEPOOL_POOL_PERSISTENT, 0, 0);
	if (id < 0) {
		pr_err("the hypervisor refused a pool: error %ld\n", id);
		pool_free_cpus(pool);
		vfree(pool->present);
		return (int)id;
	}
	pool->id = id;
	return 0;
}

void tidepool_pool_destroy(struct tidepool_pool *pool)
{
	long err;

	do {
		err = tidepool_call_destroy_pool(pool->id);
		cond_resched();
	} while (err == -TIDEPOOL_EAGAIN);
	if (err)
		pr_err("pool %lu could not be destroyed: error %ld\n", pool->id, err);

	pool_free_cpus(pool);
	vfree(pool->present);
}

/* After a put. Returns what tidepool_pool_put() does. */
static int pool_settle_put(struct tidepool_pool *pool, u64 slot, long err)
{
	switch (err) {
	case 0:
		pool_count_add(pool, TIDEPOOL_QUERY_PUTS, 1);
		pool_mark_present(pool, slot);
		return 0;
	case -TIDEPOOL_ENOSPC: /* the old copy is gone */
		pool_count_add(pool, TIDEPOOL_QUERY_REFUSED, 1);
		pool_mark_absent(pool, slot);
		return -ENOSPC;
	case -TIDEPOOL_ENOMEM:
		pool_count_add(pool, TIDEPOOL_QUERY_REFUSED, 1);
		break;
	case -TIDEPOOL_EFROZEN:
		break;
	default:
		pr_err_ratelimited("put of page %llu failed: error %ld\n", slot, err);
		break;
	}
	/* Here the call changed nothing, so an old copy is still there; it must not be read again.
	 */
	tidepool_pool_flush(pool, slot);
	return -ENOSPC;
}

int tidepool_pool_put(struct tidepool_pool *pool, u64 slot, struct page *page)
{
	return pool_settle_put(pool, slot, tidepool_call_put_page(pool->id, slot, page));
}

/* After a get. Returns what tidepool_pool_get() does. */
static int pool_settle_get(struct tidepool_pool *pool, u64 slot, long err)
{
	if (!err) {
		pool_count_add(pool, TIDEPOOL_QUERY_GETS, 1);
		return 0;
	}
	if (err == -TIDEPOOL_ENOENT)
		pool_count_add(pool, TIDEPOOL_QUERY_MISSES, 1);
	pr_err_ratelimited("page %llu is lost: error %ld\n", slot, err);
	return -EIO;
}

int tidepool_pool_get(struct tidepool_pool *pool, u64 slot, struct page *page)
{
	if (!test_bit(slot, pool->present))
		return -ENODATA;
	return pool_settle_get(pool, slot, tidepool_call_get_page(pool->id, slot, page));
}

static void pool_describe(const struct tidepool_pool *pool, struct tidepool_descriptor *call,
			  unsigned int op, u64 slot, struct page *page)
{
	*call = (struct tidepool_descriptor){
		.op = op,
		.pool = pool->id,
		.oid = {TIDEPOOL_OID, TIDEPOOL_OID, TIDEPOOL_OID},
		.index = slot,
		.frame = page_to_pfn(page),
		.result = -TIDEPOOL_EINVAL, /* should the call not come to it */
	};
}

static void pool_call(struct tidepool_descriptor *calls, unsigned int count)
{
	long err = tidepool_call_each(calls, count);

	if (err)
		pr_err_ratelimited("a call for %u pages failed: error %ld\n", count, err);
}

void tidepool_pool_put_run(struct tidepool_pool *pool, u64 first, struct page *const *pages,
			   int *errs, unsigned int count)
{
	struct tidepool_descriptor *calls;
	unsigned long flags;
	unsigned int i;

	local_irq_save(flags);
	calls = this_cpu_read(pool->cpus->calls);
	for (i = 0; i < count; i++)
		pool_describe(pool, &calls[i], TIDEPOOL_OP_PUT_PAGE, first + i, pages[i]);
	pool_call(calls, count);
	pool_count_add(pool, TIDEPOOL_POOL_RUN_PUTS, count);
	for (i = 0; i < count; i++)
		errs[i] = pool_settle_put(pool, first + i, calls[i].result);
	local_irq_restore(flags);
}

void tidepool_pool_get_run(struct tidepool_pool *pool, u64 first, struct page *const *pages,
			   int *errs, unsigned int count)
{
	struct tidepool_descriptor *calls;
	unsigned int asked = 0;
	unsigned long flags;
	unsigned int i;
	u64 slot;

	local_irq_save(flags);
	calls = this_cpu_read(pool->cpus->calls);
	for (i = 0; i < count; i++) {
		slot = first + i;
		errs[i] = -ENODATA;
		if (test_bit(slot, pool->present))
			pool_describe(pool, &calls[asked++], TIDEPOOL_OP_GET_PAGE, slot, pages[i]);
	}
	pool_call(calls, asked);
	pool_count_add(pool, TIDEPOOL_POOL_RUN_GETS, asked);
	for (i = 0; i < asked; i++) {
		slot = calls[i].index;
		errs[slot - first] = pool_settle_get(pool, slot, calls[i].result);
	}
	local_irq_restore(flags);
}

void tidepool_pool_flush(struct tidepool_pool *pool, u64 slot)
{
	long dropped;

	if (!pool_mark_absent(pool, slot))
		return;
	dropped = tidepool_call_flush_page(pool->id, slot);
	if (dropped >= 0)
		pool_count_add(pool, TIDEPOOL_QUERY_FLUSHED, dropped);
	else
		pr_err_ratelimited("flush of page %llu failed: error %ld\n", slot, dropped);
}

void tidepool_pool_flush_range(struct tidepool_pool *pool, u64 first, u64 count)
{
	u64 end = min(first + count, pool->slots);
	unsigned long slot = first;

	for_each_set_bit_from(slot, pool->present, end)
	{
		tidepool_pool_flush(pool, slot);
		cond_resched();
	}
}

u64 tidepool_pool_count(const struct tidepool_pool *pool, unsigned int which)
{
	s64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu_ptr(pool->cpus, cpu)->counts[which];
	return sum;
}

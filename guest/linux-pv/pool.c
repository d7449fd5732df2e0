// SPDX-License-Identifier: GPL-2.0-only
/* A persistent tmem pool of numbered pages; see pool.h. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include "hypercall.h"
#include "pool.h"

static void pool_count_add(struct tidepool_pool *pool, unsigned int which, s64 n)
{
	this_cpu_add(pool->counts->value[which], n);
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

int tidepool_pool_create(struct tidepool_pool *pool, u64 slots)
{
	long id;

	pool->slots = slots;
	pool->present = vzalloc(BITS_TO_LONGS(slots) * sizeof(long));
	if (!pool->present)
		return -ENOMEM;
	pool->counts = alloc_percpu(struct tidepool_counters);
	if (!pool->counts) {
		vfree(pool->present);
		return -ENOMEM;
	}

	id = tidepool_call_new_pool(TIDEPOOL_POOL_PERSISTENT);
	if (id < 0) {
		pr_err("the hypervisor refused a pool: error %ld\n", id);
		free_percpu(pool->counts);
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

	free_percpu(pool->counts);
	vfree(pool->present);
}

int tidepool_pool_put(struct tidepool_pool *pool, u64 slot, struct page *page)
{
	long err = tidepool_call_put_page(pool->id, slot, page);

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

int tidepool_pool_get(struct tidepool_pool *pool, u64 slot, struct page *page)
{
	long err;

	if (!test_bit(slot, pool->present))
		return -ENODATA;

	err = tidepool_call_get_page(pool->id, slot, page);
	if (!err) {
		pool_count_add(pool, TIDEPOOL_QUERY_GETS, 1);
		return 0;
	}
	if (err == -TIDEPOOL_ENOENT)
		pool_count_add(pool, TIDEPOOL_QUERY_MISSES, 1);
	pr_err_ratelimited("page %llu is lost: error %ld\n", slot, err);
	return -EIO;
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

	for_each_possible_cpu(cpu) sum += per_cpu_ptr(pool->counts, cpu)->value[which];
	return sum;
}

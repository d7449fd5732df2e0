/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A persistent tmem pool of numbered pages: what the hypervisor holds for this driver.
 *
 * The pool remembers in a bitmap which pages are there. So a look-up of a page that was never put,
 * was refused or is gone costs no hypercall, and nothing is allocated after creation: a put
 * happens while the kernel has no memory left.
 *
 * Locking: none here. Calls for different pages may run at once; for one page the caller keeps
 * them apart, as swap does (the page lock for I/O, the slot's use count against its release).
 */
#ifndef TIDEPOOL_PV_POOL_H
#define TIDEPOOL_PV_POOL_H

#include <linux/mm_types.h>
#include <linux/types.h>

#include <tidepool/abi.h>

/* Pages that one call moves: few enough for interrupts to stay off meanwhile. */
#define TIDEPOOL_POOL_RUN 16u

/* Counts are indexed like TIDEPOOL_OP_QUERY, so that both sides' figures compare one to one. */
#define TIDEPOOL_POOL_RUN_PUTS TIDEPOOL_QUERY_COUNT	    /* pages offered in runs */
#define TIDEPOOL_POOL_RUN_GETS (TIDEPOOL_POOL_RUN_PUTS + 1) /* pages asked for in runs */
#define TIDEPOOL_POOL_COUNTS   (TIDEPOOL_POOL_RUN_GETS + 1)

struct tidepool_pool_cpu {
	s64 counts[TIDEPOOL_POOL_COUNTS];  /* one CPU's share may be negative (held) */
	struct tidepool_descriptor *calls; /* TIDEPOOL_POOL_RUN, used with interrupts off */
};

struct tidepool_pool {
	unsigned long id;
	u64 slots;		/* pages are numbered 0 .. slots - 1 */
	unsigned long *present; /* bit n: page n is in the pool */
	struct tidepool_pool_cpu __percpu *cpus;
};

/*
 * tidepool_pool_open - have the hypervisor make a pool, or let this guest into a shared one
 * @flags: TIDEPOOL_POOL_PERSISTENT, TIDEPOOL_POOL_SHARED, or 0: private and ephemeral
 * @uuid_low, @uuid_high: which one, if it is shared
 *
 * While the guest is frozen there are no new pools: waits for its thaw, or for a signal.
 *
 * Returns its id, -EINTR, or the hypervisor's refusal. Context: may sleep.
 */
long tidepool_pool_open(unsigned long flags, u64 uuid_low, u64 uuid_high);

/*
 * tidepool_pool_create - make a pool of up to @slots pages, empty
 *
 * Returns 0, -ENOMEM, or what tidepool_pool_open() does. @pool is the caller's; on success it needs
 * tidepool_pool_destroy(). Context: may sleep.
 */
int tidepool_pool_create(struct tidepool_pool *pool, u64 slots);

/* tidepool_pool_destroy - drop the pool with all its pages. Context: may sleep; no call runs. */
void tidepool_pool_destroy(struct tidepool_pool *pool);

/*
 * tidepool_pool_put - copy a page into the pool, in place of what its slot held
 *
 * Returns 0, or -ENOSPC when it was refused; then the slot holds nothing.
 * Context: any.
 */
int tidepool_pool_put(struct tidepool_pool *pool, u64 slot, struct page *page);

/*
 * tidepool_pool_get - copy a page out of the pool, which keeps it
 *
 * Returns 0, -ENODATA when the slot holds nothing, or -EIO when the hypervisor lost the page.
 * Context: any.
 */
int tidepool_pool_get(struct tidepool_pool *pool, u64 slot, struct page *page);

/*
 * tidepool_pool_put_run - tidepool_pool_put() of neighbours, in one call of the hypervisor
 * tidepool_pool_get_run - the same for tidepool_pool_get()
 * @first: the slot of the first page
 * @pages: the pages, @count of them, at most TIDEPOOL_POOL_RUN
 * @errs:  what the call for each page alone would have returned
 *
 * Context: any.
 */
void tidepool_pool_put_run(struct tidepool_pool *pool, u64 first, struct page *const *pages,
			   int *errs, unsigned int count);
void tidepool_pool_get_run(struct tidepool_pool *pool, u64 first, struct page *const *pages,
			   int *errs, unsigned int count);

/* tidepool_pool_flush - drop one page, if it is there. Context: any. */
void tidepool_pool_flush(struct tidepool_pool *pool, u64 slot);

/* tidepool_pool_flush_range - drop @count pages from @first on. Context: may sleep. */
void tidepool_pool_flush_range(struct tidepool_pool *pool, u64 first, u64 count);

/*
 * tidepool_pool_count - what this driver counted; @which: TIDEPOOL_QUERY_* or
 * TIDEPOOL_POOL_RUN_*. Context: any.
 */
u64 tidepool_pool_count(const struct tidepool_pool *pool, unsigned int which);

#endif

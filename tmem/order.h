/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order in which a lane's ephemeral pages are evicted.
 *
 * A page that comes for the first time is on probation; one that comes back, after a get took it
 * out, after it was evicted, or over itself, goes to the main queue. Eviction takes the oldest on
 * probation while those are more than a tenth, else the oldest of the main queue. So a scan of
 * pages that nobody asks for again passes through a tenth of the room, and what has proved useful
 * stays. It ages as others prove theirs, and a little with each eviction: a new working set that
 * is too large to come back while it is remembered must not find the old one in its way for ever.
 * That a page was here before is remembered by the index, in
 * the slot that it left (tmem/index.h).
 *
 * Persistent pages of a client that compresses are in an order of their own, from which nothing is
 * evicted: it tells which of them are cold.
 *
 * Context of every function: the lane's lock held.
 */
#ifndef TMEM_ORDER_H
#define TMEM_ORDER_H

#include "tmem/client.h"
#include "tmem/page.h"

/* Pages in the order. Context: any; a hint without the lock. */
static inline uint32_t tmem_order_count(const struct tmem_lane *lane)
{
	return __atomic_load_n(&lane->probation.count, __ATOMIC_RELAXED) +
	       __atomic_load_n(&lane->main.count, __ATOMIC_RELAXED);
}

/* Put a page at the newest end. @proved: it came back. */
void tmem_order_add(struct tmem_lane *lane, struct tmem_page *page, uint32_t number, bool proved);

void tmem_order_remove(struct tmem_lane *lane, struct tmem_page *page);

/* The page to be evicted next, its number in @number; NULL: none is left. */
struct tmem_page *tmem_order_next(const struct tmem_lane *lane, uint32_t *number);

#endif

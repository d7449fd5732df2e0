/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/order.h"
#include "tmem/cell.h"

#define PROBATION_SHARE 10u /* one part of so many */
#define MAIN_AGES	64u /* one eviction in so many is from the main queue all the same */

static struct tmem_page *page_at(uint32_t number)
{
	return tmem_cell_at(number);
}

static void count_add(struct tmem_order *order, uint32_t n)
{
	__atomic_store_n(&order->count, order->count + n, __ATOMIC_RELAXED);
}

/*
 * Where a page belongs, or NULL: nowhere. @waiting: set to the oldest page there that waits to be
 * compressed, or to NULL where none does.
 */
static struct tmem_order *order_of(struct tmem_lane *lane, const struct tmem_page *page,
				   uint32_t **waiting)
{
	const struct tmem_pool *pool = tmem_page_shard(page)->pool;
	struct tmem_client *client = pool->client;
	struct tmem_cold *cold = client->compress ? &client->cold[lane - client->lanes] : NULL;
	bool proved = page->home & TMEM_HOME_MAIN;

	*waiting = cold ? &cold->waiting[pool->persistent ? 0 : proved ? 2 : 1] : NULL;
	if (pool->persistent)
		return cold ? &cold->kept : NULL;
	return proved ? &lane->main : &lane->probation;
}

void tmem_order_add(struct tmem_lane *lane, struct tmem_page *page, uint32_t number, bool proved)
{
	uint32_t home = (page->home & ~TMEM_HOME_MAIN) | (proved ? TMEM_HOME_MAIN : 0);
	struct tmem_order *order;
	uint32_t *waiting;

	/* Whose the page is, is read without the lane's lock: tmem/compress.c. */
	__atomic_store_n(&page->home, home, __ATOMIC_RELAXED);
	order = order_of(lane, page, &waiting);
	if (!order)
		return;
	page->older = order->newest;
	page->newer = 0;
	if (order->newest)
		page_at(order->newest)->newer = number;
	else
		order->oldest = number;
	order->newest = number;
	if (waiting && !*waiting)
		__atomic_store_n(waiting, number, __ATOMIC_RELAXED);
	count_add(order, 1);
}

void tmem_order_remove(struct tmem_lane *lane, struct tmem_page *page)
{
	uint32_t *waiting;
	struct tmem_order *order = order_of(lane, page, &waiting);

	if (!order)
		return;
	if (waiting && *waiting && page_at(*waiting) == page)
		__atomic_store_n(waiting, page->newer, __ATOMIC_RELAXED);
	if (page->older)
		page_at(page->older)->newer = page->newer;
	else
		order->oldest = page->newer;
	if (page->newer)
		page_at(page->newer)->older = page->older;
	else
		order->newest = page->older;
	count_add(order, UINT32_MAX); /* one less */
}

struct tmem_page *tmem_order_next(const struct tmem_lane *lane, uint32_t *number)
{
	uint32_t all = lane->probation.count + lane->main.count;
	bool probation = lane->probation.count > all / PROBATION_SHARE &&
			 lane->events[TMEM_EVICTED] % MAIN_AGES != MAIN_AGES - 1;

	if (!lane->probation.count || !lane->main.count)
		probation = lane->probation.count > 0;
	*number = probation ? lane->probation.oldest : lane->main.oldest;
	return *number ? page_at(*number) : NULL;
}

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

void tmem_order_add(struct tmem_lane *lane, struct tmem_page *page, uint32_t number, bool proved)
{
	struct tmem_order *order = proved ? &lane->main : &lane->probation;

	page->home = (page->home & ~TMEM_HOME_MAIN) | (proved ? TMEM_HOME_MAIN : 0);
	page->older = order->newest;
	page->newer = 0;
	if (order->newest)
		page_at(order->newest)->newer = number;
	else
		order->oldest = number;
	order->newest = number;
	count_add(order, 1);
}

void tmem_order_remove(struct tmem_lane *lane, struct tmem_page *page)
{
	struct tmem_order *order = page->home & TMEM_HOME_MAIN ? &lane->main : &lane->probation;

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

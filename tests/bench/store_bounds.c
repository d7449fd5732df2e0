/* SPDX-License-Identifier: BSD-2-Clause */
/* The longest step of what is done in steps, and what it costs in memory to keep track of pages. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/store_clock.h"
#include "tests/bench/store_host.h"
#include "tests/bench/store_parts.h"

#define HELD	  240000u
#define MAX_STEPS (1u << 16)
#define ROUNDS	  5u

static struct tmem_client *client;
static uint64_t pool;

static void fill(struct tmem_key (*name)(uint64_t n))
{
	uint64_t n;

	client = client_create(UINT64_MAX);
	pool = pool_create(client, PERSISTENT);
	for (n = 0; n < HELD; n++)
		put_page(client, pool, name(n), host_source(n));
}

/* A swap device: one huge object. */
static struct tmem_key swap_key(uint64_t n)
{
	return (struct tmem_key){.index = n};
}

static void metadata(const char *name, struct tmem_key (*key)(uint64_t n))
{
	struct tmem_stats stats;

	fill(key);
	tmem_client_stats(client, &stats);
	clock_print(name,
		    ((double)stats.charged - (double)stats.held) * TMEM_PAGE_SIZE /
			    (double)stats.held,
		    "bytes");
	client_destroy(client);
}

static void fill_swap(void)
{
	fill(swap_key);
}

static void client_drop(void)
{
	client_destroy(client);
}

static int64_t step_flush(void)
{
	const uint64_t oid[3] = {0};

	return tmem_flush_object(client, pool, oid);
}

static int64_t step_pool(void)
{
	return tmem_pool_destroy(client, pool);
}

static int64_t step_client(void)
{
	return tmem_client_destroy(client);
}

/*
 * The steps are the same in each round, so the fastest of the rounds is what a step takes, and the
 * slowest of the steps is the bound.
 */
void bound_measure(const struct bound *bound)
{
	static double times[MAX_STEPS];
	unsigned int round, i, count = 0, slowest = 0;

	for (round = 0; round < ROUNDS; round++) {
		int64_t ret = -TIDEPOOL_EAGAIN;

		bound->prepare();
		for (i = 0; ret == -TIDEPOOL_EAGAIN; i++) {
			uint64_t start = clock_now();
			double time;

			ret = bound->step();
			time = (double)(clock_now() - start);
			must(i < MAX_STEPS, 1, "number of steps");
			times[i] = round == 0 || time < times[i] ? time : times[i];
		}
		must(ret, 0, bound->name);
		count = round == 0 || i < count ? i : count;
		if (bound->finish)
			bound->finish();
	}
	for (i = 0; i < count; i++)
		slowest = times[i] > times[slowest] ? i : slowest;
	clock_print(bound->name, clock_ns(times[slowest]) / 1000, "us");
	fprintf(stderr, "# %s: %u steps, number %u\n", bound->name, count, slowest);
}

void store_bounds(void)
{
	static const struct bound bounds[] = {
		{"store_step_flush_object", fill_swap, step_flush, client_drop},
		{"store_step_destroy_pool", fill_swap, step_pool, client_drop},
		{"store_step_destroy_client", fill_swap, step_client, NULL},
	};
	unsigned int i;

	metadata("store_metadata_files", key_of);
	metadata("store_metadata_swap", swap_key);
	for (i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		bound_measure(&bounds[i]);
	store_bounds_relinquish();
}

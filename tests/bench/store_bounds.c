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
 * slowest of the steps is the bound. @then: what drops the client when the steps have not.
 */
static void longest(const char *name, int64_t (*step)(void), bool then_destroy)
{
	static double times[MAX_STEPS];
	unsigned int round, i, count = 0;
	double worst = 0;

	for (round = 0; round < ROUNDS; round++) {
		int64_t ret = -TIDEPOOL_EAGAIN;

		fill(swap_key);
		for (i = 0; ret == -TIDEPOOL_EAGAIN; i++) {
			uint64_t start = clock_now();
			double time;

			ret = step();
			time = (double)(clock_now() - start);
			must(i < MAX_STEPS, 1, "number of steps");
			times[i] = round == 0 || time < times[i] ? time : times[i];
		}
		must(ret, 0, name);
		count = round == 0 || i < count ? i : count;
		if (then_destroy)
			client_destroy(client);
	}
	for (i = 0; i < count; i++)
		worst = times[i] > worst ? times[i] : worst;
	clock_print(name, clock_ns(worst) / 1000, "us");
	fprintf(stderr, "# %s: %u steps\n", name, count);
}

void store_bounds(void)
{
	metadata("store_metadata_files", key_of);
	metadata("store_metadata_swap", swap_key);
	longest("store_step_flush_object", step_flush, true);
	longest("store_step_destroy_pool", step_pool, true);
	longest("store_step_destroy_client", step_client, false);
}

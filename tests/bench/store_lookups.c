/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What it takes to find one page among many, in loads from memory that depend on each other. The
 * store is hollow: its page frames are address space without memory, and nothing is copied.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/store_clock.h"
#include "tests/bench/store_host.h"
#include "tests/bench/store_parts.h"

#define MILLION	      1000000ull
#define BLOCK_OF_KEYS 2048u /* found after the caches were emptied once */
#define KEYS	      (16u * BLOCK_OF_KEYS)
#define SWEEP	      (96ull << 20) /* bytes that leave nothing else in the caches */
#define CHASE_BYTES   (1ull << 30)
#define CHASE_LOADS   100000u
#define CHASE_BATCH   100u
#define MEMORY_LIMIT  (4ull << 30)

static struct tmem_client *client;
static uint64_t pool;
static char *sweep;

static void caches_empty(void)
{
	static volatile uint64_t sum;
	uint64_t at;

	for (at = 0; at < SWEEP; at += 64)
		sum += *(volatile uint64_t *)(sweep + at);
}

/* The median time of a load whose address the load before it gave. */
static double chase_ticks(void)
{
	const uint64_t count = CHASE_BYTES / 64;
	char *area = host_map(CHASE_BYTES, true);
	static double times[CHASE_LOADS / CHASE_BATCH];
	unsigned int i, k, n = 0;
	uint64_t at = 1;

	/* One cycle over all lines: x -> a x + c modulo a power of two, c odd, a = 1 modulo 4. */
	for (at = 0; at < count; at++)
		*(uint64_t *)(area + at * 64) = (at * 0x19660d + 0x3c6ef35f) % count;
	for (at = 0, i = 0; i < CHASE_LOADS / CHASE_BATCH; i++) {
		bool quiet = clock_quiet();
		uint64_t start = clock_now();

		for (k = 0; k < CHASE_BATCH; k++)
			at = *(volatile uint64_t *)(area + at * 64);
		if (quiet)
			times[n++] = (double)(clock_now() - start) / CHASE_BATCH;
	}
	must(n > 0, 1, "a quiet moment");
	host_unmap(area, CHASE_BYTES);
	return clock_median(times, n);
}

/* The median time of finding a page, serialised; @others: of not finding one. */
static double find_ticks(uint64_t held, bool others)
{
	static char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
	static struct tmem_key keys[BLOCK_OF_KEYS];
	static double times[KEYS];
	uint64_t random = 88172645463325252ull;
	unsigned int i, k, n = 0;

	for (i = 0; i < KEYS / BLOCK_OF_KEYS; i++) {
		caches_empty();
		for (k = 0; k < BLOCK_OF_KEYS; k++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			keys[k] = key_of(random % held + (others ? held : 0));
		}
		for (k = 0; k < BLOCK_OF_KEYS; k++) {
			uint64_t start;
			int64_t ret;

			clock_serialise();
			start = clock_now();
			ret = tmem_get(client, pool, &keys[k], page);
			clock_serialise();
			times[n++] = (double)(clock_now() - start);
			must(ret, others ? -TIDEPOOL_ENOENT : 0, "get");
		}
	}
	return clock_median(times, n);
}

/* What a get takes that needs nothing from memory: the same page again and again. */
static double hot_ticks(void)
{
	static char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
	static double times[10000];
	struct tmem_key key = key_of(0);
	unsigned int i;

	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		uint64_t start;

		clock_serialise();
		start = clock_now();
		must(tmem_get(client, pool, &key, page), 0, "get");
		clock_serialise();
		times[i] = (double)(clock_now() - start);
	}
	return clock_median(times, sizeof(times) / sizeof(times[0]));
}

static uint64_t memory_used(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long long size, resident = 0;

	if (file) {
		if (fscanf(file, "%llu %llu", &size, &resident) != 2)
			resident = 0;
		fclose(file);
	}
	return resident * TMEM_PAGE_SIZE;
}

/* Put pages until there are @held. Returns whether memory sufficed. */
static bool grow(uint64_t held)
{
	static const char zero[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
	uint64_t n;

	for (n = 0; n < held; n++) {
		put_page(client, pool, key_of(n), zero);
		if (n % (MILLION / 10) == 0 && memory_used() > MEMORY_LIMIT)
			return false;
	}
	host_collapse();
	return true;
}

static void measure(uint64_t held, const char *hit_name, const char *miss_name)
{
	double load = chase_ticks(), hit;

	clock_print("store_memory_load", clock_ns(load), "ns");
	sweep = host_map(SWEEP, true);
	host_start_hollow((held * TMEM_PAGE_SIZE / 9 * 10) & ~(TMEM_BLOCK_SIZE - 1ull));
	client = client_create(UINT64_MAX);
	pool = pool_create(client, PERSISTENT);
	if (!grow(held)) {
		fprintf(stderr, "# %s: not measured, for want of memory\n", hit_name);
		return;
	}
	hit = find_ticks(held, false);
	clock_print(hit_name, hit / load, "loads");
	clock_print(miss_name, find_ticks(held, true) / load, "loads");
	fprintf(stderr, "# %s: %.0f ns, %.0f ns of them without memory\n", hit_name, clock_ns(hit),
		clock_ns(hot_ticks()));
}

void store_lookups(void)
{
	measure(MILLION, "store_lookup_1M", "store_miss_1M");
}

void store_lookups_16m(void)
{
	measure(16 * MILLION, "store_lookup_16M", "store_miss_16M");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What it costs a put to look for an equal page: where there is none, where there is one. */
#include <stdio.h>

#include "tests/bench/store_clock.h"
#include "tests/bench/store_host.h"
#include "tests/bench/store_parts.h"

#define PAIRS	  500u
#define HELD	  200000u
#define FEW_HELD  50000u
#define MANY_HELD 1000000u
#define OTHERS	  (1ull << 40) /* keys from here on are not those of the pages held */

static struct tmem_client *client;
static uint64_t pool;

static void put(uint64_t key, const void *page)
{
	put_page(client, pool, key_of(key), page);
}

/* Make the pages that host_source() gives other ones than they were, and no two alike. */
static void stamp(uint64_t first, uint64_t count)
{
	static uint64_t stamps;
	uint64_t n;

	for (n = first; n < first + count; n++)
		*((uint64_t *)host_source(n) + 1) = ++stamps;
}

static void begin(uint32_t dedup, uint64_t held)
{
	uint64_t n;

	client = client_create_dedup(UINT64_MAX, dedup);
	pool = pool_create(client, PERSISTENT);
	for (n = 0; n < held; n++) {
		stamp(n, 1);
		put(n, host_source(n));
	}
}

static void end(void)
{
	client_destroy(client);
}

/* Contents that the store has not. */
static void put_unique(uint64_t n)
{
	put(OTHERS + n, host_source(HELD + n));
}

/* Contents that it has, put long ago, under another key. */
static void put_duplicate(uint64_t n)
{
	put(2 * OTHERS + n, host_source(n * 71993 % HELD));
}

static void put_replace(uint64_t n)
{
	put(n * 71993 % HELD, host_source(HELD + n));
}

static void measure(const char *name, void (*op)(uint64_t n))
{
	const struct clock_subject subject = {.name = name, .op = op, .pairs = PAIRS};

	clock_report(&subject, host_copy);
}

/* What a put of new contents takes beside so many pages, in copies. Returns false if not measured.
 */
static bool measure_beside(const char *name, uint32_t dedup, uint64_t held, double *ratio)
{
	const struct clock_subject subject = {.name = name, .op = put_unique, .pairs = PAIRS};
	struct clock_result result;
	bool measured;

	begin(dedup, held);
	stamp(0, HOST_PAGES);
	measured = clock_measure(&subject, host_copy, &result);
	end();
	if (!measured)
		return false;
	fprintf(stderr, "# store_%s: rounds %.2f..%.2f M, %.0f ns\n", name, result.low, result.high,
		result.ns);
	*ratio = result.ratio;
	return true;
}

/* Among few and among many pages: it should not matter. */
static void measure_growth(const char *name, const char *figure, uint32_t dedup)
{
	double few, many;

	if (measure_beside(name, dedup, FEW_HELD, &few) &&
	    measure_beside(name, dedup, MANY_HELD, &many))
		clock_print(figure, many / few, "x");
}

void store_dedup(void)
{
	begin(TMEM_DEDUP_OFF, HELD);
	stamp(HELD, HOST_PAGES - HELD);
	measure("dedup_off", put_unique);
	end();

	begin(TMEM_DEDUP_ALONE, HELD);
	stamp(HELD, HOST_PAGES - HELD);
	measure("dedup_unique", put_unique);
	measure("dedup_duplicate", put_duplicate);
	end();

	begin(TMEM_DEDUP_ALONE, HELD);
	stamp(HELD, HOST_PAGES - HELD);
	measure("dedup_replace", put_replace);
	end();

	measure_growth("dedup_off_growth", "store_dedup_off_growth", TMEM_DEDUP_OFF);
	measure_growth("dedup_unique_growth", "store_dedup_unique_growth", TMEM_DEDUP_ALONE);
}

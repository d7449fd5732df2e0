/* SPDX-License-Identifier: BSD-2-Clause */
/* What each operation costs beside a copy of the page. */
#include <stdio.h>

#include "tests/bench/store_clock.h"
#include "tests/bench/store_host.h"
#include "tests/bench/store_parts.h"

#define PAIRS	 500u
#define CALLS	 (PAIRS * CLOCK_CHUNK * CLOCK_ROUNDS) /* of one figure */
#define HELD	 200000u			      /* pages in a store that is not empty */
#define FEW_HELD 50000u
#define OTHERS	 (1ull << 40) /* keys from here on are not those of the pages held */

static struct tmem_client *client;
static uint64_t pool;

static void put(uint64_t key, const void *page)
{
	put_page(client, pool, key_of(key), page);
}

static void get(uint64_t key, void *page)
{
	struct tmem_key name = key_of(key);

	must(tmem_get(client, pool, &name, page), 0, "get");
}

/* Each page held, in an order of its own: gets come in another one than puts. */
static uint64_t held_key(uint64_t n)
{
	return n * 71993 % HELD; /* a prime that does not divide HELD */
}

static void begin(uint64_t cap, uint64_t flags, uint64_t held)
{
	uint64_t n;

	client = client_create(cap);
	pool = pool_create(client, flags);
	for (n = 0; n < held; n++)
		put(n, host_source(n));
}

static void end(void)
{
	client_destroy(client);
}

/* ---- what is measured ------------------------------------------------------------------------ */

static void put_room(uint64_t n)
{
	put(n, host_source(n));
}

static void empty_pool(void)
{
	while (tmem_pool_destroy(client, pool) == -TIDEPOOL_EAGAIN)
		;
	pool = pool_create(client, PERSISTENT);
}

/* Contents that the store has not: behind those of the pages held. */
static void put_unique(uint64_t n)
{
	put(OTHERS + n, host_source(HELD + n));
}

/* Contents that it has, put long ago, under another key. */
static void put_duplicate(uint64_t n)
{
	put(2 * OTHERS + n, host_source(held_key(n)));
}

static void put_replace(uint64_t n)
{
	put(held_key(n), host_source(HELD + n));
}

/*
 * A chunk's pages as one vectored call puts them: the processor is not drained between two, and
 * which page comes next is known. All of them with the chunk's first call.
 */
static void put_vector(uint64_t n)
{
	const uint64_t end = n + CLOCK_CHUNK;
	uint64_t i;

	for (i = n; i < end && n % CLOCK_CHUNK == 0; i++) {
		struct tmem_key name = key_of(OTHERS + i);
		const void *next = i + 1 < end ? host_source(HELD + i + 1) : NULL;

		must(tmem_put_then(client, pool, &name, host_source(HELD + i), next), 0, "put");
	}
}

static void get_persistent(uint64_t n)
{
	get(held_key(n), host_target(n));
}

/* The guest wants the page: it reads each line of it. */
static void get_exclusive(uint64_t n)
{
	const volatile uint64_t *page = host_target(n);
	unsigned int i;

	get(held_key(n), host_target(n));
	for (i = 0; i < TMEM_PAGE_SIZE / sizeof(*page); i += 64 / sizeof(*page))
		(void)page[i];
}

static void put_zero(uint64_t n)
{
	put(OTHERS + n, host_zero(n));
}

static void get_zero(uint64_t n)
{
	get(OTHERS + n, host_target(n));
}

static void get_miss(uint64_t n)
{
	struct tmem_key name = key_of(3 * OTHERS + n);

	must(tmem_get(client, pool, &name, host_target(n)), -TIDEPOOL_ENOENT, "miss");
}

static void measure(const char *name, void (*op)(uint64_t n), void (*prepare)(void))
{
	const struct clock_subject subject = {
		.name = name,
		.op = op,
		.prepare = prepare,
		.pairs = PAIRS,
	};

	clock_report(&subject, host_copy);
}

static void copy_other(uint64_t n)
{
	host_copy(n + HOST_PAGES / 4);
}

/* The copy beside itself: its time, and how far a ratio can be trusted. */
static void measure_copy(void)
{
	const struct clock_subject subject = {.name = "copy", .op = copy_other, .pairs = PAIRS};
	struct clock_result result;

	if (!clock_measure(&subject, host_copy, &result))
		return;
	clock_print("store_copy", result.ns, "ns");
	fprintf(stderr, "# store_copy beside itself: rounds %.2f..%.2f M\n", result.low,
		result.high);
}

/* A put of new contents at two sizes of the store: it should not matter. */
static void measure_growth(void)
{
	const struct clock_subject subject = {
		.name = "put_unique_growth", .op = put_unique, .pairs = PAIRS};
	struct clock_result few, many;
	bool measured;

	begin(UINT64_MAX, PERSISTENT, FEW_HELD);
	measured = clock_measure(&subject, host_copy, &few);
	end();
	begin(UINT64_MAX, PERSISTENT, HELD);
	measured = clock_measure(&subject, host_copy, &many) && measured;
	end();
	if (measured)
		clock_print("store_put_unique_growth", many.ratio / few.ratio, "x");
}

void store_operations(void)
{
	measure_copy();

	begin(UINT64_MAX, PERSISTENT, 0);
	measure("put_room", put_room, empty_pool);
	end();

	begin(HELD, EPHEMERAL, HELD); /* its metadata take some: full before all are put */
	measure("put_full", put_unique, NULL);
	end();

	begin(HELD, EPHEMERAL, HELD);
	measure("put_vector_full", put_vector, NULL);
	end();

	begin(UINT64_MAX, PERSISTENT, HELD);
	measure("put_vector", put_vector, NULL);
	end();

	measure_growth();

	begin(UINT64_MAX, PERSISTENT, HELD);
	measure("put_unique", put_unique, NULL);
	measure("put_duplicate", put_duplicate, NULL);
	measure("put_replace", put_replace, NULL);
	end();

	begin(UINT64_MAX, PERSISTENT, HELD);
	measure("get_persistent", get_persistent, NULL);
	measure("get_miss", get_miss, NULL);
	measure("put_zero", put_zero, NULL);
	measure("get_zero", get_zero, NULL);
	end();

	begin(UINT64_MAX, EPHEMERAL, HELD);
	measure("get_exclusive_read", get_exclusive, NULL);
	end();
}

_Static_assert(CALLS < HOST_ZERO_PAGES && HELD + CALLS < HOST_PAGES, "the arenas suffice");

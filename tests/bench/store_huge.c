/* SPDX-License-Identifier: BSD-2-Clause */
/* The longest call about a page of 2 MiB whose parts are compressed on the way, or were before. */
#include "tests/bench/store_clock.h"
#include "tests/bench/store_parts.h"

#define PARTS	  512u
#define PUTS	  6u
#define CAP	  (2 * PARTS) /* so that most of them have to be compressed */
#define ROUNDS	  5u
#define MAX_CALLS 4096u
#define ORDER_9	  (9ull << TIDEPOOL_POOL_ORDER_SHIFT)

static struct tmem_client *client;
static uint64_t pool;
static double times[MAX_CALLS];

static void begin(uint64_t cap)
{
	const struct tmem_limits limits = {.cap = cap, .compress = true};

	client = tmem_client_create(&limits);
	must(client != NULL, 1, "client");
	pool = pool_create(client, PERSISTENT | ORDER_9);
}

typedef int64_t huge_call(struct tmem_client *of, uint64_t in, const struct tmem_key *key,
			  void *data, uint64_t cookie);

static int64_t put(struct tmem_client *of, uint64_t in, const struct tmem_key *key, void *data,
		   uint64_t cookie)
{
	return tmem_huge_put(of, in, key, data, cookie);
}

/* All calls of an operation, its result being the last one's; the first is number @i. */
static unsigned int all_calls(huge_call *call, uint64_t n, void *data, unsigned int round,
			      unsigned int i)
{
	const struct tmem_key key = {.index = n};
	uint64_t cookie = 0;
	int64_t ret;

	do {
		uint64_t start = clock_now();
		double time;

		ret = call(client, pool, &key, data, cookie);
		time = (double)(clock_now() - start);
		must(i < MAX_CALLS, 1, "number of calls");
		times[i] = round == 0 || time < times[i] ? time : times[i];
		i++;
		cookie = ret > 0 ? (uint64_t)ret : cookie;
	} while (ret > 0 || ret == -TIDEPOOL_EAGAIN);
	return i;
}

/* As the steps of store_bounds.c: of each call the fastest of some rounds, of all the slowest. */
static void print_longest(const char *name, unsigned int count)
{
	double worst = 0;
	unsigned int i;

	for (i = 0; i < count; i++)
		worst = times[i] > worst ? times[i] : worst;
	clock_print(name, clock_ns(worst) / 1000, "us");
}

/* @pages: of @count, all of which compress */
void store_huge(char *pages, uint64_t count)
{
	static char target[PARTS * TMEM_PAGE_SIZE] __attribute__((aligned(TMEM_PAGE_SIZE)));
	unsigned int round, i = 0, n;

	must(count >= PUTS * PARTS, 1, "pages for the calls of 2 MiB");
	for (round = 0; round < ROUNDS; round++) {
		begin(CAP);
		for (n = 0, i = 0; n < PUTS; n++)
			i = all_calls(put, n, pages + (uint64_t)n * sizeof(target), round, i);
		client_destroy(client);
	}
	print_longest("store_step_huge_put_full", i);

	begin(UINT64_MAX);
	for (n = 0; n < PUTS; n++)
		(void)all_calls(put, n, pages + (uint64_t)n * sizeof(target), 0, 0);
	while (tmem_idle_step(true))
		continue;
	for (round = 0; round < ROUNDS; round++)
		for (n = 0, i = 0; n < PUTS; n++)
			i = all_calls(tmem_huge_get, n, target, round, i);
	print_longest("store_step_huge_get_compressed", i);
	client_destroy(client);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The longest step of handing blocks back to the host, by what is in them. */
#include <string.h>

#include "tests/bench/store_host.h"
#include "tests/bench/store_parts.h"

#define HELD	 120000u
#define WANTED	 24u	/* blocks */
#define REST	 2048u	/* pages: more than are free in blocks that are not full */
#define NOISE	 2048u	/* bytes of a page that compresses; the rest is zero */
#define CONTENTS 60000u /* of pages that share them */

static struct tmem_client *client;
static uint64_t pool, cache, wanted;

static const void *half_noise(uint64_t n)
{
	static char page[TMEM_PAGE_SIZE] __attribute__((aligned(TMEM_PAGE_SIZE)));

	memcpy(page, host_source(n), NOISE);
	return page;
}

static void begin(const struct tmem_limits *limits)
{
	client = tmem_client_create(limits);
	must(client != NULL, 1, "client");
	pool = pool_create(client, PERSISTENT);
	cache = pool_create(client, EPHEMERAL);
	wanted = WANTED;
}

/* Every other page goes, so that the others have room to move. */
static void thin(uint64_t of)
{
	uint64_t n;

	for (n = 0; n < HELD; n++) {
		struct tmem_key key = key_of(n);

		if (n % of % 2 == 0)
			must(tmem_flush_page(client, pool, &key), 1, "flush");
	}
	host_refuse(true);
}

static void persistent(void)
{
	uint64_t n;

	begin(&(struct tmem_limits){.cap = UINT64_MAX});
	for (n = 0; n < HELD; n++)
		put_page(client, pool, key_of(n), host_source(n));
	thin(HELD);
}

static void shared(void)
{
	uint64_t n;

	begin(&(struct tmem_limits){.cap = UINT64_MAX, .dedup = TMEM_DEDUP_ALONE});
	for (n = 0; n < HELD; n++)
		put_page(client, pool, key_of(n), host_source(n % CONTENTS));
	thin(CONTENTS);
}

static void compressed(void)
{
	uint64_t n;

	begin(&(struct tmem_limits){.cap = UINT64_MAX, .compress = true});
	for (n = 0; n < HELD; n++)
		put_page(client, pool, key_of(n), half_noise(n));
	while (tmem_idle_step(true))
		continue;
	thin(HELD);
}

/* No frame is free: ephemeral pages go, and persistent ones have room made for them. */
static void full_of(bool compress)
{
	uint64_t n;

	begin(&(struct tmem_limits){.cap = UINT64_MAX, .compress = compress});
	for (n = 0; n < HELD; n++)
		put_page(client, n % 2 ? pool : cache, key_of(n), half_noise(n));
	host_refuse(true);
	for (; n < HELD + REST; n++)
		put_page(client, cache, key_of(n), half_noise(n));
}

static void full(void)
{
	full_of(false);
}

static void full_compress(void)
{
	full_of(true);
}

static int64_t step(void)
{
	int64_t ret = tmem_relinquish(wanted);

	wanted -= ret == 1;
	return ret == -TIDEPOOL_ENOMEM || wanted == 0 ? 0 : -TIDEPOOL_EAGAIN;
}

static void finish(void)
{
	must((int64_t)wanted, 0, "blocks that did not come");
	must(tmem_relinquish(0), 0, "the end");
	host_refuse(false);
	client_destroy(client);
}

void store_bounds_relinquish(void)
{
	static const struct bound bounds[] = {
		{"store_step_relinquish_persistent", persistent, step, finish},
		{"store_step_relinquish_shared", shared, step, finish},
		{"store_step_relinquish_compressed", compressed, step, finish},
		{"store_step_relinquish_full", full, step, finish},
		{"store_step_relinquish_full_compress", full_compress, step, finish},
	};
	unsigned int i;

	for (i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		bound_measure(&bounds[i]);
}

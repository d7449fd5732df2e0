/* SPDX-License-Identifier: BSD-2-Clause */
/* The page store, one rule a test; the rules are docs/abi.md's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include <tidepool/abi.h>

#include "tests/unit/model_host.h"
#include "tmem/client.h"
#include "tmem/frame.h"
#include "tmem/hash.h"
#include "tmem/pool.h"

#define PERSISTENT (TIDEPOOL_POOL_VERSION | TIDEPOOL_POOL_PERSISTENT)
#define EPHEMERAL  TIDEPOOL_POOL_VERSION

/* Frames that a client and its first pool take before there is a page. */
#define CLIENT_FRAMES 1u
#define POOL_FRAMES   3u
#define CELL_FRAMES   1u /* while there are few records */
#define BASE_FRAMES   (CLIENT_FRAMES + POOL_FRAMES + CELL_FRAMES)

static const uint64_t no_uuid[2];
static struct tmem_client *client;

static struct tmem_key key_at(uint64_t oid, uint64_t index)
{
	return (struct tmem_key){.oid = {oid, 0, 0}, .index = index};
}

static int64_t put(uint64_t pool, uint64_t oid, uint64_t index, char fill)
{
	char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
	struct tmem_key key = key_at(oid, index);

	memset(page, fill, sizeof(page));
	return tmem_put(client, pool, &key, page);
}

/* Returns tmem_get()'s error, or what the page was filled with. */
static int64_t get(uint64_t pool, uint64_t oid, uint64_t index)
{
	static char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
	struct tmem_key key = key_at(oid, index);
	int64_t ret;

	page[0] = 0;
	ret = tmem_get(client, pool, &key, page);
	if (ret < 0) {
		assert_int_equal(page[0], 0);
		return ret;
	}
	assert_int_equal(ret, 0);
	assert_memory_equal(page, page + 1, sizeof(page) - 1);
	return page[0];
}

static int64_t flush(uint64_t pool, uint64_t oid, uint64_t index)
{
	struct tmem_key key = key_at(oid, index);

	return tmem_flush_page(client, pool, &key);
}

static int64_t flush_object(uint64_t pool, uint64_t oid)
{
	const uint64_t words[3] = {oid, 0, 0};

	return tmem_flush_object(client, pool, words);
}

static int64_t pool_create(uint64_t flags)
{
	return tmem_pool_create(client, flags, no_uuid);
}

static struct tmem_stats stats_of(struct tmem_client *of)
{
	struct tmem_stats stats;

	tmem_client_stats(of, &stats);
	return stats;
}

static void client_destroy(struct tmem_client *victim)
{
	while (tmem_client_destroy(victim) == -TIDEPOOL_EAGAIN)
		;
}

/* Exchange the client of the test for one with a cap. */
static void client_cap(uint64_t cap)
{
	const struct tmem_limits limits = {.cap = cap};

	client_destroy(client);
	client = tmem_client_create(&limits);
	assert_non_null(client);
}

static int setup(void **state)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX};

	(void)state;
	assert_int_equal(model_host_start(UINT64_MAX), 0);
	client = tmem_client_create(&limits);
	assert_non_null(client);
	return 0;
}

/* What every test ends with: the client's memory is all back. */
static int teardown(void **state)
{
	struct tmem_store_stats stats;

	(void)state;
	client_destroy(client);
	tmem_store_stats(&stats);
	assert_int_equal(stats.pages_held, 0);
	assert_int_equal(stats.blocks, 1);
	assert_int_equal(stats.pages_free, TMEM_FRAMES_PER_BLOCK);
	model_host_stop();
	return 0;
}

static void test_persistent_get_keeps(void **state)
{
	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(put(0, 1, 2, 'a'), 0);
	assert_int_equal(get(0, 1, 2), 'a');
	assert_int_equal(get(0, 1, 2), 'a');
}

static void test_ephemeral_get_removes(void **state)
{
	(void)state;
	assert_int_equal(pool_create(EPHEMERAL), 0);
	assert_int_equal(put(0, 1, 2, 'a'), 0);
	assert_int_equal(get(0, 1, 2), 'a');
	assert_int_equal(get(0, 1, 2), -TIDEPOOL_ENOENT);
	assert_int_equal(get(0, 1, 2), -TIDEPOOL_ENOENT);
}

static void test_second_put_replaces(void **state)
{
	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(pool_create(EPHEMERAL), 1);
	assert_int_equal(put(0, 1, 2, 'a'), 0);
	assert_int_equal(put(0, 1, 2, 'b'), 0);
	assert_int_equal(get(0, 1, 2), 'b');
	assert_int_equal(put(1, 1, 2, 'a'), 0);
	assert_int_equal(put(1, 1, 2, 'b'), 0);
	assert_int_equal(get(1, 1, 2), 'b');
	assert_int_equal(stats_of(client).held, 1);
}

static void test_flush_page(void **state)
{
	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(put(0, 1, 2, 'a'), 0);
	assert_int_equal(put(0, 1, 3, 'b'), 0);
	assert_int_equal(flush(0, 1, 2), 1);
	assert_int_equal(flush(0, 1, 2), 0);
	assert_int_equal(get(0, 1, 2), -TIDEPOOL_ENOENT);
	assert_int_equal(get(0, 1, 3), 'b');
}

/* Keys that differ in any one word, or only in the pool or the client, are different keys. */
static void test_keys_are_apart(void **state)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX};
	struct tmem_client *first = client, *second = tmem_client_create(&limits);
	struct tmem_store_stats store;
	struct tmem_key key;
	char page[TMEM_PAGE_SIZE] = {0};
	unsigned int word;

	(void)state;
	assert_non_null(second);
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(pool_create(PERSISTENT), 1);
	assert_int_equal(put(0, 0, 0, 'a'), 0);
	for (word = 0; word < 4; word++) {
		key = key_at(0, 0);
		*(word < 3 ? &key.oid[word] : &key.index) = 1ull << 63;
		assert_int_equal(tmem_get(client, 0, &key, page), -TIDEPOOL_ENOENT);
		assert_int_equal(tmem_flush_page(client, 0, &key), 0);
	}
	assert_int_equal(get(1, 0, 0), -TIDEPOOL_ENOENT);
	client = second;
	assert_int_equal(get(0, 0, 0), -TIDEPOOL_ENODEV);
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(get(0, 0, 0), -TIDEPOOL_ENOENT);
	client = first;
	assert_int_equal(get(0, 0, 0), 'a');
	tmem_store_stats(&store);
	assert_int_equal(store.pages_held, 1);
	client_destroy(second);
}

static void test_flush_object_in_steps(void **state)
{
	const uint64_t pages = 5 * TMEM_STEP;
	uint64_t i, calls = 0, held;
	int64_t ret;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(flush_object(0, 1), 0);
	for (i = 0; i < pages; i++) {
		assert_int_equal(put(0, 1, i * i, 'a'), 0);
		assert_int_equal(put(0, 2, i * i, 'b'), 0);
	}
	do {
		held = stats_of(client).held;
		ret = flush_object(0, 1);
		assert_true(held - stats_of(client).held <= TMEM_STEP);
		calls++;
	} while (ret == -TIDEPOOL_EAGAIN);
	assert_int_equal(ret, 0);
	assert_true(calls >= pages / TMEM_STEP && calls <= pages / TMEM_STEP + 1);
	assert_int_equal(stats_of(client).held, pages);
	assert_int_equal(stats_of(client).flushed, pages);
	for (i = 0; i < pages; i++) {
		assert_int_equal(get(0, 1, i * i), -TIDEPOOL_ENOENT);
		assert_int_equal(get(0, 2, i * i), 'b');
	}
}

static void test_pool_flags(void **state)
{
	static const struct {
		uint64_t flags;
		int64_t ret;
	} cases[] = {
		{0, -TIDEPOOL_EINVAL},
		{PERSISTENT + (1ull << TIDEPOOL_POOL_VERSION_SHIFT), -TIDEPOOL_EINVAL},
		{PERSISTENT | 1ull << 31, -TIDEPOOL_EINVAL},
		{PERSISTENT | 1ull << TIDEPOOL_POOL_ORDER_SHIFT, -TIDEPOOL_EINVAL},
		{PERSISTENT | TIDEPOOL_POOL_ORDER_MASK, -TIDEPOOL_EINVAL},
		{PERSISTENT | 1ull << 2, -TIDEPOOL_EINVAL},
		{PERSISTENT | 1ull << 3, -TIDEPOOL_EINVAL},
		{PERSISTENT | 1ull << 8, -TIDEPOOL_EINVAL},
		{PERSISTENT | 1ull << 23, -TIDEPOOL_EINVAL},
		{PERSISTENT | 1ull << 32, -TIDEPOOL_EINVAL},
		{PERSISTENT | 1ull << 63, -TIDEPOOL_EINVAL},
		{UINT64_MAX, -TIDEPOOL_EINVAL},
		{TIDEPOOL_POOL_SHARED | 1ull << 8, -TIDEPOOL_EINVAL},
		{EPHEMERAL | TIDEPOOL_POOL_SHARED, -TIDEPOOL_EPERM},
		{PERSISTENT | TIDEPOOL_POOL_SHARED, -TIDEPOOL_EPERM},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(pool_create(cases[i].flags), cases[i].ret);
	assert_int_equal(stats_of(client).pools, 0);
	assert_int_equal(stats_of(client).charged, CLIENT_FRAMES);
}

static void test_pool_numbers(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < TIDEPOOL_MAX_POOLS; i++)
		assert_int_equal(pool_create(PERSISTENT), i);
	assert_int_equal(pool_create(PERSISTENT), -TIDEPOOL_ENOMEM);
	assert_int_equal(stats_of(client).pools, TIDEPOOL_MAX_POOLS);
	assert_int_equal(put(TIDEPOOL_MAX_POOLS - 1, 1, 1, 'a'), 0);
	assert_int_equal(tmem_pool_destroy(client, 200), 0);
	assert_int_equal(tmem_pool_destroy(client, 100), 0);
	assert_int_equal(stats_of(client).pools, TIDEPOOL_MAX_POOLS - 2);
	assert_int_equal(pool_create(EPHEMERAL), 100);
	assert_int_equal(pool_create(EPHEMERAL), 200);
}

static void test_no_such_pool(void **state)
{
	static const uint64_t wrong[] = {1, 255, 256, 1ull << 32, UINT64_MAX};
	size_t i;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(put(wrong[i], 1, 1, 'a'), -TIDEPOOL_ENODEV);
		assert_int_equal(get(wrong[i], 1, 1), -TIDEPOOL_ENODEV);
		assert_int_equal(flush(wrong[i], 1, 1), -TIDEPOOL_ENODEV);
		assert_int_equal(flush_object(wrong[i], 1), -TIDEPOOL_ENODEV);
		assert_int_equal(tmem_pool_destroy(client, wrong[i]), -TIDEPOOL_ENODEV);
	}
	assert_int_equal(model_host.copies, 0);
}

static void test_pool_destroy_in_steps(void **state)
{
	const uint64_t pages = 3 * TMEM_STEP;
	uint64_t i;
	int64_t ret;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < pages; i++)
		assert_int_equal(put(0, i % 7, i, 'a'), 0);
	assert_int_equal(tmem_pool_destroy(client, 0), -TIDEPOOL_EAGAIN);
	assert_int_equal(stats_of(client).held, pages - TMEM_STEP);
	/* Half destroyed, it is no pool any more, and its number is still taken. */
	assert_int_equal(stats_of(client).pools, 0);
	assert_int_equal(put(0, 1, 1, 'a'), -TIDEPOOL_ENODEV);
	for (i = 0; i < pages; i++)
		assert_int_equal(get(0, i % 7, i), -TIDEPOOL_ENODEV);
	assert_int_equal(flush(0, 1, 1), -TIDEPOOL_ENODEV);
	assert_int_equal(flush_object(0, 1), -TIDEPOOL_ENODEV);
	assert_int_equal(pool_create(PERSISTENT), 1);
	do {
		ret = tmem_pool_destroy(client, 0);
	} while (ret == -TIDEPOOL_EAGAIN);
	assert_int_equal(ret, 0);
	assert_int_equal(tmem_pool_destroy(client, 0), -TIDEPOOL_ENODEV);
	assert_int_equal(stats_of(client).flushed, pages);
	/* The next pool of that number starts empty. */
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < pages; i++)
		assert_int_equal(get(0, i % 7, i), -TIDEPOOL_ENOENT);
}

/* A refused put changes nothing; one that replaces needs no memory and is never refused. */
static void test_cap_refuses(void **state)
{
	(void)state;
	client_cap(BASE_FRAMES + 2);
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	assert_int_equal(put(0, 1, 2, 'b'), 0);
	assert_int_equal(put(0, 1, 3, 'c'), -TIDEPOOL_ENOMEM);
	assert_int_equal(get(0, 1, 3), -TIDEPOOL_ENOENT);
	assert_int_equal(put(0, 1, 1, 'd'), 0);
	assert_int_equal(get(0, 1, 1), 'd');
	assert_int_equal(get(0, 1, 2), 'b');
	assert_int_equal(pool_create(PERSISTENT), -TIDEPOOL_ENOMEM);
	assert_int_equal(flush(0, 1, 1), 1);
	assert_int_equal(put(0, 1, 3, 'c'), 0);
	assert_int_equal(stats_of(client).refused, 1);
	assert_int_equal(stats_of(client).charged, BASE_FRAMES + 2);
}

/* Whatever the cap, what does not fit is refused whole, and leaves no memory behind. */
static void test_tiny_caps(void **state)
{
	uint64_t cap;

	(void)state;
	for (cap = 0; cap < BASE_FRAMES + 2; cap++) {
		bool pool_fits = cap >= CLIENT_FRAMES + POOL_FRAMES;
		bool page_fits = cap >= BASE_FRAMES + 1;
		uint64_t charged;

		client_cap(cap);
		assert_int_equal(pool_create(PERSISTENT), pool_fits ? 0 : -TIDEPOOL_ENOMEM);
		charged = stats_of(client).charged;
		assert_int_equal(put(0, 1, 1, 'a'), page_fits	? 0
						    : pool_fits ? -TIDEPOOL_ENOMEM
								: -TIDEPOOL_ENODEV);
		assert_int_equal(get(0, 1, 1), page_fits   ? 'a'
					       : pool_fits ? -TIDEPOOL_ENOENT
							   : -TIDEPOOL_ENODEV);
		assert_int_equal(stats_of(client).charged,
				 charged + (page_fits ? 1 + CELL_FRAMES : 0));
	}
}

static void test_eviction_order(void **state)
{
	(void)state;
	client_cap(BASE_FRAMES + 3);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	assert_int_equal(put(0, 1, 2, 'b'), 0);
	assert_int_equal(put(0, 2, 3, 'c'), 0);
	assert_int_equal(put(0, 1, 1, 'd'), 0); /* now the most recent one */
	assert_int_equal(put(0, 3, 4, 'e'), 0); /* evicts 1:2 */
	assert_int_equal(get(0, 1, 2), -TIDEPOOL_ENOENT);
	assert_int_equal(put(0, 3, 5, 'f'), 0); /* evicts 2:3 */
	assert_int_equal(get(0, 2, 3), -TIDEPOOL_ENOENT);
	assert_int_equal(get(0, 1, 1), 'd');
	assert_int_equal(get(0, 3, 4), 'e');
	assert_int_equal(get(0, 3, 5), 'f');
	assert_int_equal(stats_of(client).evicted, 2);
	assert_int_equal(stats_of(client).refused, 0);
}

static void test_persistent_evicts_ephemeral(void **state)
{
	(void)state;
	client_cap(BASE_FRAMES + POOL_FRAMES + 2);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	assert_int_equal(pool_create(PERSISTENT), 1);
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	assert_int_equal(put(0, 1, 2, 'b'), 0);
	assert_int_equal(put(1, 1, 1, 'c'), 0);
	assert_int_equal(get(0, 1, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(put(1, 1, 2, 'd'), 0);
	assert_int_equal(put(1, 1, 3, 'e'), -TIDEPOOL_ENOMEM);
	assert_int_equal(put(0, 1, 3, 'f'), -TIDEPOOL_ENOMEM);
	assert_int_equal(get(1, 1, 1), 'c');
	assert_int_equal(get(1, 1, 2), 'd');
	assert_int_equal(stats_of(client).evicted, 2);
}

static void test_new_pool_evicts_ephemeral(void **state)
{
	uint64_t i;

	(void)state;
	client_cap(BASE_FRAMES + 4);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(put(0, 1, i, 'a'), 0);
	assert_int_equal(pool_create(PERSISTENT), 1);
	assert_int_equal(stats_of(client).held, 4 - POOL_FRAMES);
	assert_int_equal(get(0, 1, 3), 'a');
}

/* The records of a put may need a frame of their own: pages go for that too, the oldest first. */
static void test_eviction_for_records(void **state)
{
	uint64_t i, held;

	(void)state;
	client_cap(BASE_FRAMES + 100);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	for (i = 0; i < 1000; i++)
		assert_int_equal(put(0, i, i, 'a'), 0); /* an object each: two records a page */
	held = stats_of(client).held;
	assert_int_equal(stats_of(client).charged, BASE_FRAMES + 100);
	assert_true(held >= 90 && held < 100);
	for (i = 0; i < 1000; i++)
		assert_int_equal(get(0, i, i), i < 1000 - held ? -TIDEPOOL_ENOENT : 'a');
}

/* A put for whose page there is memory, but not for the record of its object. */
static void test_refused_for_records(void **state)
{
	const uint64_t fits = 31; /* two records each, of the 63 in a frame */
	uint64_t i;

	(void)state;
	client_cap(BASE_FRAMES + fits + 1);
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < fits; i++)
		assert_int_equal(put(0, i, 0, 'a'), 0);
	assert_int_equal(put(0, i, 0, 'a'), -TIDEPOOL_ENOMEM);
	assert_int_equal(get(0, i, 0), -TIDEPOOL_ENOENT);
	assert_int_equal(stats_of(client).charged, BASE_FRAMES + fits);
	assert_int_equal(stats_of(client).held, fits);
}

/* When the host has no more, a client pays with its own pages, never with another's. */
static void test_host_exhausted(void **state)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX};
	struct tmem_client *first = client, *second = tmem_client_create(&limits);
	uint64_t i, held;

	(void)state;
	model_host.limit = 2;
	assert_int_equal(pool_create(EPHEMERAL), 0);
	client = second;
	assert_int_equal(pool_create(EPHEMERAL), 0);
	assert_int_equal(pool_create(PERSISTENT), 1);
	for (i = 0; i < 100; i++)
		assert_int_equal(put(0, 1, i, 's'), 0);
	client = first;
	for (i = 0; i < 2000; i++)
		assert_int_equal(put(0, 1, i, 'f'), 0);
	held = stats_of(first).held;
	assert_int_equal(stats_of(first).evicted, 2000 - held);
	assert_int_equal(stats_of(second).held, 100);
	client = second;
	for (i = 0; i < 90; i++)
		assert_int_equal(put(1, 1, i, 'p'), 0);
	assert_int_equal(get(0, 1, 99), 's');
	assert_in_range(stats_of(second).evicted, 90, 92); /* records need a frame, too */
	assert_int_equal(stats_of(first).held, held);
	client_destroy(second);
	client = first;
}

static void test_no_memory_at_all(void **state)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX};
	struct tmem_client *others[TMEM_FRAMES_PER_BLOCK];
	unsigned int n = 0, i;

	(void)state;
	model_host.limit = 1;
	while ((others[n] = tmem_client_create(&limits)))
		n++;
	assert_int_equal(n, TMEM_FRAMES_PER_BLOCK - 1);
	assert_int_equal(pool_create(PERSISTENT), -TIDEPOOL_ENOMEM);
	for (i = 0; i < n; i++)
		client_destroy(others[i]);
	client_destroy(client);
	model_host_stop();
	assert_int_equal(model_host_start(0), -TIDEPOOL_ENOMEM);
	model_host_stop();
	setup(state);
}

/* The index keeps up with its pages, shares them out evenly, and goes with its pool. */
static void test_index_grows(void **state)
{
	const uint64_t pages = 140000; /* more than a directory's worth of buckets */
	struct tmem_pool *pool;
	unsigned int s;
	uint64_t i;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < pages; i++)
		assert_int_equal(put(0, i % 10, i / 10, (char)('a' + i % 26)), 0);
	pool = tmem_pool_find(client, 0);
	for (s = 0; s < TMEM_SHARDS; s++) {
		assert_true(pool->shards[s].pages <= pool->shards[s].buckets);
		assert_in_range(pool->shards[s].pages, pages / TMEM_SHARDS * 9 / 10,
				pages / TMEM_SHARDS * 11 / 10);
	}
	for (i = 0; i < pages; i++)
		assert_int_equal(get(0, i % 10, i / 10), 'a' + i % 26);
	for (i = 0; i < 10; i++)
		while (flush_object(0, i) == -TIDEPOOL_EAGAIN)
			;
	assert_int_equal(stats_of(client).held, 0);
	assert_true(stats_of(client).charged > pages / 256);
	while (tmem_pool_destroy(client, 0) == -TIDEPOOL_EAGAIN)
		;
	assert_int_equal(stats_of(client).charged, CLIENT_FRAMES + 1); /* the pool's frame stays */
}

static uint64_t buckets_of(const struct tmem_pool *pool)
{
	uint64_t buckets = 0;
	unsigned int s;

	for (s = 0; s < TMEM_SHARDS; s++)
		buckets += pool->shards[s].buckets;
	return buckets;
}

/* At its cap a client's index cannot grow; everything works on, and it catches up once it can. */
static void test_index_catches_up(void **state)
{
	struct tmem_pool *pool;
	uint64_t i, at_first;
	unsigned int s;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	pool = tmem_pool_find(client, 0);
	at_first = buckets_of(pool);
	for (i = 0; i < 1000; i++) {
		client->cap = stats_of(client).charged + 1;
		if (put(0, 1, i, 'a') == 0)
			continue;
		client->cap++; /* a frame for its record, too */
		assert_int_equal(put(0, 1, i, 'a'), 0);
	}
	assert_int_equal(buckets_of(pool), at_first);
	client->cap = UINT64_MAX;
	for (; i < 4000; i++)
		assert_int_equal(put(0, 1, i, 'a'), 0);
	for (s = 0; s < TMEM_SHARDS; s++)
		assert_true(pool->shards[s].pages <= pool->shards[s].buckets);
	for (i = 0; i < 4000; i++)
		assert_int_equal(get(0, 1, i), 'a');
}

/* However much a call frees, the host takes back one block at most in it. */
static void test_one_block_a_call(void **state)
{
	uint64_t i, freed;
	int64_t ret;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < 20 * 512; i++)
		assert_int_equal(put(0, i % 3, i, 'a'), 0);
	assert_true(model_host.live > 20);
	do {
		freed = model_host.freed;
		ret = tmem_pool_destroy(client, 0);
		assert_true(model_host.freed <= freed + 1);
	} while (ret == -TIDEPOOL_EAGAIN);
	assert_true(model_host.live <= 2);
}

/* Blocks go back as pages go, whichever way they go; for one object, so that the last is enough. */
static void test_blocks_go_back(void **state)
{
	enum { GET, FLUSH_PAGE, FLUSH_OBJECT, DESTROY, WAYS } way;
	const uint64_t pages = 5 * 512;
	uint64_t i;

	(void)state;
	for (way = GET; way < WAYS; way++) {
		assert_int_equal(pool_create(EPHEMERAL), 0);
		for (i = 0; i < pages; i++)
			assert_int_equal(put(0, 1, i, 'a'), 0);
		assert_in_range(model_host.live, 6, 7);
		for (i = 0; i < pages && way <= FLUSH_PAGE; i++)
			assert_int_equal(way == GET ? get(0, 1, i) : flush(0, 1, i),
					 way == GET ? 'a' : 1);
		while (way == FLUSH_OBJECT && flush_object(0, 1) == -TIDEPOOL_EAGAIN)
			;
		if (way != DESTROY)
			assert_in_range(model_host.live, 1, 2);
		while (tmem_pool_destroy(client, 0) == -TIDEPOOL_EAGAIN)
			;
		assert_in_range(model_host.live, 1, 2);
	}
}

/* One page put and flushed in turn does not make a block come and go. */
static void test_block_is_kept(void **state)
{
	uint64_t i, live;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; model_host.live < 2; i++)
		assert_int_equal(put(0, 1, i, 'a'), 0);
	live = model_host.live;
	for (; i > 0; i--)
		flush(0, 1, i - 1);
	assert_int_equal(model_host.live, live);
	assert_int_equal(model_host.freed, 0);
}

/* For the tests below: what the store does while it copies a page, with one shard locked. */
static uint64_t hook_oid;

static void put_in_copy(void)
{
	model_host.on_copy = NULL;
	assert_int_equal(put(0, hook_oid, 0, 'n'), 0);
}

/* The shard that a key belongs to: the one whose count goes up. */
static unsigned int shard_of(uint64_t oid)
{
	struct tmem_pool *pool = tmem_pool_find(client, 0);
	uint64_t before[TMEM_SHARDS];
	unsigned int s;

	for (s = 0; s < TMEM_SHARDS; s++)
		before[s] = pool->shards[s].pages;
	assert_int_equal(put(0, oid, 0, 'x'), 0);
	for (s = 0; pool->shards[s].pages == before[s]; s++)
		;
	assert_int_equal(flush(0, oid, 0), 1);
	return s;
}

/*
 * While one CPU replaces the oldest page, another puts into another shard and must evict: it
 * passes the page in use over and takes the next.
 */
static void test_eviction_passes_over(void **state)
{
	uint64_t other = 2;

	(void)state;
	client_cap(BASE_FRAMES + 3);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	while (shard_of(other) == shard_of(1))
		other++;
	hook_oid = other + 1;
	while (shard_of(hook_oid) == shard_of(1))
		hook_oid++;
	assert_int_equal(put(0, 1, 0, 'a'), 0);
	assert_int_equal(put(0, other, 0, 'b'), 0);
	assert_int_equal(put(0, 1, 1, 'c'), 0);
	model_host.on_copy = put_in_copy;
	assert_int_equal(put(0, 1, 0, 'd'), 0);
	assert_int_equal(get(0, 1, 0), 'd');
	assert_int_equal(get(0, other, 0), -TIDEPOOL_ENOENT);
	assert_int_equal(get(0, hook_oid, 0), 'n');
}

/* A second CPU's destroy of the same pool, while the first waits inside of its own. */
static int64_t second_destroy;

static void *destroy_thread(void *unused)
{
	(void)unused;
	while (tmem_pool_destroy(client, 0) == -TIDEPOOL_EAGAIN)
		;
	return NULL;
}

static void destroy_in_relax(void)
{
	model_host.on_relax = NULL;
	__atomic_store_n(&second_destroy, tmem_pool_destroy(client, 0), __ATOMIC_RELEASE);
}

static pthread_t destroyer;

static void destroy_in_copy(void)
{
	model_host.on_copy = NULL;
	second_destroy = 0;
	model_host.on_relax = destroy_in_relax;
	assert_int_equal(pthread_create(&destroyer, NULL, destroy_thread, NULL), 0);
	while (!__atomic_load_n(&second_destroy, __ATOMIC_ACQUIRE))
		;
}

static void test_destroy_on_two_cpus(void **state)
{
	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	model_host.on_copy = destroy_in_copy;
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	assert_int_equal(pthread_join(destroyer, NULL), 0);
	assert_int_equal(second_destroy, -TIDEPOOL_EAGAIN);
	assert_int_equal(tmem_pool_destroy(client, 0), -TIDEPOOL_ENODEV);
	assert_int_equal(stats_of(client).flushed, 1);
}

static void test_lock_try(void **state)
{
	struct tmem_lock lock = {.next = UINT32_MAX, .owner = UINT32_MAX};

	(void)state;
	assert_true(tmem_lock_try(&lock));
	assert_false(tmem_lock_try(&lock));
	tmem_lock_release(&lock);
	tmem_lock_acquire(&lock); /* the tickets have wrapped around */
	assert_false(tmem_lock_try(&lock));
	tmem_lock_release(&lock);
	assert_true(tmem_lock_try(&lock));
}

/* Against CPython's SipHash-1-3: hash(bytes) with PYTHONHASHSEED=0, whose key is all zeroes. */
static void test_hash_vectors(void **state)
{
	static const uint64_t zero[2], one[2] = {1, 0};
	static const uint64_t words[4] = {0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull,
					  0x1716151413121110ull, 0x1f1e1d1c1b1a1918ull};

	(void)state;
	assert_int_equal(tmem_hash_words(zero, words, 3), 0x31185a47af932f3aull);
	assert_int_equal(tmem_hash_words(zero, words, 4), 0x31ef8061c910629bull);
	assert_int_not_equal(tmem_hash_words(one, words, 4), tmem_hash_words(zero, words, 4));
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_persistent_get_keeps),
		STORE_TEST(test_ephemeral_get_removes),
		STORE_TEST(test_second_put_replaces),
		STORE_TEST(test_flush_page),
		STORE_TEST(test_keys_are_apart),
		STORE_TEST(test_flush_object_in_steps),
		STORE_TEST(test_pool_flags),
		STORE_TEST(test_pool_numbers),
		STORE_TEST(test_no_such_pool),
		STORE_TEST(test_pool_destroy_in_steps),
		STORE_TEST(test_cap_refuses),
		STORE_TEST(test_tiny_caps),
		STORE_TEST(test_eviction_order),
		STORE_TEST(test_persistent_evicts_ephemeral),
		STORE_TEST(test_new_pool_evicts_ephemeral),
		STORE_TEST(test_eviction_for_records),
		STORE_TEST(test_refused_for_records),
		STORE_TEST(test_host_exhausted),
		STORE_TEST(test_no_memory_at_all),
		STORE_TEST(test_index_grows),
		STORE_TEST(test_index_catches_up),
		STORE_TEST(test_one_block_a_call),
		STORE_TEST(test_blocks_go_back),
		STORE_TEST(test_block_is_kept),
		STORE_TEST(test_eviction_passes_over),
		STORE_TEST(test_destroy_on_two_cpus),
		cmocka_unit_test(test_lock_try),
		cmocka_unit_test(test_hash_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

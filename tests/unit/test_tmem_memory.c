/* SPDX-License-Identifier: BSD-2-Clause */
/* The page store's memory: caps, refusals, eviction, the index, and blocks that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"
#include "tmem/client.h"
#include "tmem/frame.h"
#include "tmem/pool.h"

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

/* Neighbouring pages, which are in one lane, go in the order they came. */
static void test_eviction_order(void **state)
{
	(void)state;
	client_cap(BASE_FRAMES + 3);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	assert_int_equal(put(0, 1, 2, 'b'), 0);
	assert_int_equal(put(0, 1, 3, 'c'), 0);
	assert_int_equal(put(0, 1, 1, 'd'), 0); /* now the most recent one */
	assert_int_equal(put(0, 1, 4, 'e'), 0); /* evicts 1:2 */
	assert_int_equal(get(0, 1, 2), -TIDEPOOL_ENOENT);
	assert_int_equal(put(0, 1, 5, 'f'), 0); /* evicts 1:3 */
	assert_int_equal(get(0, 1, 3), -TIDEPOOL_ENOENT);
	assert_int_equal(get(0, 1, 1), 'd');
	assert_int_equal(get(0, 1, 4), 'e');
	assert_int_equal(get(0, 1, 5), 'f');
	assert_int_equal(stats_of(client).evicted, 2);
	assert_int_equal(stats_of(client).refused, 0);
}

/* Whichever lane a page belongs to, those in the others make room for it. */
static void test_eviction_from_any_lane(void **state)
{
	uint64_t i;

	(void)state;
	client_cap(BASE_FRAMES + 1);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	for (i = 0; i < 100; i++) {
		assert_int_equal(put(0, i, i, 'a'), 0);
		assert_int_equal(stats_of(client).evicted, i);
	}
	assert_int_equal(get(0, 99, 99), 'a');
}

#define USEFUL 2000u

/* Pages in files of 16, which proved useful: put, got, put again. */
static void useful_put(void)
{
	uint64_t i;

	for (i = 0; i < USEFUL; i++) {
		assert_int_equal(put(0, i / 16, i % 16, 'u'), 0);
		assert_int_equal(get(0, i / 16, i % 16), 'u');
		assert_int_equal(put(0, i / 16, i % 16, 'u'), 0);
	}
}

static uint64_t kept(uint64_t first, uint64_t count, char fill)
{
	uint64_t i, n = 0;

	for (i = first; i < first + count; i++)
		n += get(0, i / 16, i % 16) == fill;
	return n;
}

/* What came back stays, but for a few, when twice as many pass as there is room for. */
static void test_scan_does_not_evict(void **state)
{
	uint64_t i;

	(void)state;
	client_cap(BASE_FRAMES + 2 * USEFUL);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	useful_put();
	for (i = USEFUL; i < 5 * USEFUL; i++)
		assert_int_equal(put(0, i / 16, i % 16, 's'), 0);
	assert_true(stats_of(client).evicted >= 3 * USEFUL);
	assert_true(kept(0, USEFUL, 'u') > USEFUL * 8 / 10);
}

/* A new working set as large as all the room finds its way in, and pushes the old one out. */
static void test_new_working_set(void **state)
{
	const uint64_t room = USEFUL + USEFUL / 5;
	uint64_t round, i;

	(void)state;
	client_cap(BASE_FRAMES + room);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	useful_put();
	for (round = 0; round < 40; round++) {
		for (i = USEFUL; i < USEFUL + room; i++) {
			(void)get(0, i / 16, i % 16);
			assert_int_equal(put(0, i / 16, i % 16, 'n'), 0);
		}
	}
	assert_true(kept(USEFUL, room, 'n') > room / 2);
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

/* The records of a put may need a frame of their own: pages go for that too. */
static void test_eviction_for_records(void **state)
{
	uint64_t i, held, found = 0;

	(void)state;
	client_cap(BASE_FRAMES + 100);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	for (i = 0; i < 1000; i++)
		assert_int_equal(put(0, i, i, 'a'), 0); /* an object each: two records a page */
	held = stats_of(client).held;
	assert_int_equal(stats_of(client).charged, BASE_FRAMES + 100);
	assert_true(held >= 90 && held < 100);
	for (i = 0; i < 1000; i++)
		found += get(0, i, i) == 'a';
	assert_int_equal(found, held);
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

/* Pages and metadata have blocks of their own only while there are blocks: no frame is wasted. */
static void test_last_block_serves_both(void **state)
{
	struct tmem_store_stats stats;
	uint64_t i;

	(void)state;
	model_host.limit = 1;
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; put(0, 1, i, 'a') == 0; i++)
		;
	tmem_store_stats(&stats);
	assert_int_equal(stats.pages_free, MODEL_HOST_CPUS);
	assert_in_range(i, 480, TMEM_FRAMES_PER_BLOCK);
	while (i-- > 0)
		assert_int_equal(get(0, 1, i), 'a');
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
	assert_int_equal(n, (TMEM_FRAMES_PER_BLOCK - MODEL_HOST_CPUS) / CLIENT_FRAMES - 1);
	assert_int_equal(pool_create(PERSISTENT), -TIDEPOOL_ENOMEM);
	for (i = 0; i < n; i++)
		client_destroy(others[i]);
	client_destroy(client);
	model_host_stop();
	assert_int_equal(model_host_start(0), -TIDEPOOL_ENOMEM);
	model_host_stop();
	calls_setup(state);
}

static int64_t put_zeroes(uint64_t pool, uint64_t index)
{
	struct tmem_key key = key_at(7, index);

	return tmem_new_page(client, pool, &key);
}

/*
 * A guest that leaves its index nothing to grow with: it gives back one frame at a time, and that
 * when a record needs it. Buckets do not get longer than they may; what the index needs it gets
 * before the next page.
 */
static void test_index_is_starved(void **state)
{
	const uint64_t cap = 700, records = 20000;
	uint64_t pages = 0, given = 0, n = 0;
	const struct tmem_pool *pool;
	unsigned int s;

	(void)state;
	client_cap(cap);
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(pool_create(PERSISTENT), 1);
	while (put(0, 1, pages, 'p') == 0)
		pages++;
	pool = client->pools[1];
	while (n < records) {
		if (put_zeroes(1, n) == 0) {
			n++;
			continue;
		}
		/* A page of zeroes in the place of one with a frame. */
		assert_true(given < pages);
		assert_int_equal(tmem_new_page(client, 0, &(struct tmem_key){{1}, given++}), 0);
	}
	for (s = 0; s < TMEM_SHARDS; s++)
		assert_true(pool->shards[s].entries <= pool->shards[s].buckets * 32);
	assert_in_range(given, records / 63, records / 63 + records / 100);
	for (n = 0; n < records; n++)
		assert_int_equal(flush(1, 7, n), 1);
}

/* The index keeps up with its pages, shares them out evenly, and goes with its pool. */
static void test_index_grows(void **state)
{
	const uint64_t pages = 300000; /* more than a directory's worth of buckets */
	struct tmem_pool *pool;
	unsigned int s;
	uint64_t i;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < pages; i++)
		assert_int_equal(put(0, i % 10, i / 10, (char)('a' + i % 26)), 0);
	pool = tmem_pool_find(client, 0);
	for (s = 0; s < TMEM_SHARDS; s++) {
		assert_true(pool->shards[s].entries <= pool->shards[s].buckets * 17 / 2);
		assert_in_range(pool->shards[s].entries, pages / TMEM_SHARDS * 9 / 10,
				pages / TMEM_SHARDS * 11 / 10);
	}
	for (i = 0; i < pages; i++)
		assert_int_equal(get(0, i % 10, i / 10), 'a' + i % 26);
	for (i = 0; i < 10; i++)
		while (flush_object(0, i) == -TIDEPOOL_EAGAIN)
			;
	assert_int_equal(stats_of(client).held, 0);
	assert_true(stats_of(client).charged > pages / 9 / 64);
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

/*
 * At its cap a client's index does not grow at once; everything works on, and it catches up once it
 * can.
 */
static void test_index_catches_up(void **state)
{
	struct tmem_pool *pool;
	uint64_t i, at_first;
	unsigned int s;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	pool = tmem_pool_find(client, 0);
	at_first = buckets_of(pool);
	for (i = 0; i < 500; i++) {
		client->cap = stats_of(client).charged + 1;
		if (put(0, i, 0, 'a') == 0)
			continue;
		client->cap++; /* a frame for its record, too */
		assert_int_equal(put(0, i, 0, 'a'), 0);
	}
	assert_int_equal(buckets_of(pool), at_first);
	client->cap = UINT64_MAX;
	for (; i < 9000; i++)
		assert_int_equal(put(0, i, 0, 'a'), 0);
	for (s = 0; s < TMEM_SHARDS; s++)
		assert_true(pool->shards[s].entries <= pool->shards[s].buckets * 17 / 2);
	for (i = 0; i < 9000; i++)
		assert_int_equal(get(0, i, 0), 'a');
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

/* For the test below: what another CPU puts while a page is copied out, its lane locked. */
static uint64_t hook_oid;
static int64_t hook_expects;

static void put_in_copy(void)
{
	model_host.on_copy = NULL;
	assert_int_equal(put(0, hook_oid, 0, 'n'), hook_expects);
}

/* The shard that a key belongs to: the one whose count goes up. */
static unsigned int shard_of(uint64_t oid)
{
	struct tmem_pool *pool = tmem_pool_find(client, 0);
	uint64_t before[TMEM_SHARDS];
	unsigned int s;

	for (s = 0; s < TMEM_SHARDS; s++)
		before[s] = pool->shards[s].entries;
	assert_int_equal(put(0, oid, 0, 'x'), 0);
	for (s = 0; pool->shards[s].entries == before[s]; s++)
		;
	assert_int_equal(flush(0, oid, 0), 1);
	return s;
}

/*
 * While one CPU gets the oldest page, another puts into another lane and must evict: it passes the
 * page in use over and takes the next, or is refused where there is no other.
 */
static void test_eviction_passes_over(void **state)
{
	uint64_t other = 2;

	(void)state;
	client_cap(BASE_FRAMES + 2);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	while (shard_of(other) == shard_of(1))
		other++;
	hook_oid = other + 1;
	while (shard_of(hook_oid) == shard_of(1) || shard_of(hook_oid) == shard_of(other))
		hook_oid++;
	assert_int_equal(put(0, 1, 0, 'a'), 0);
	assert_int_equal(put(0, other, 0, 'b'), 0);
	model_host.on_copy = put_in_copy;
	assert_int_equal(get(0, 1, 0), 'a');
	assert_int_equal(get(0, other, 0), -TIDEPOOL_ENOENT);
	assert_int_equal(get(0, hook_oid, 0), 'n');

	assert_int_equal(put(0, 1, 0, 'a'), 0);
	assert_int_equal(put(0, 1, 1, 'b'), 0);
	model_host.on_copy = put_in_copy;
	hook_expects = -TIDEPOOL_ENOMEM;
	assert_int_equal(get(0, 1, 0), 'a');
	assert_int_equal(get(0, 1, 1), 'b');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_cap_refuses),
		STORE_TEST(test_tiny_caps),
		STORE_TEST(test_eviction_order),
		STORE_TEST(test_eviction_from_any_lane),
		STORE_TEST(test_scan_does_not_evict),
		STORE_TEST(test_new_working_set),
		STORE_TEST(test_persistent_evicts_ephemeral),
		STORE_TEST(test_new_pool_evicts_ephemeral),
		STORE_TEST(test_eviction_for_records),
		STORE_TEST(test_refused_for_records),
		STORE_TEST(test_last_block_serves_both),
		STORE_TEST(test_no_memory_at_all),
		STORE_TEST(test_index_grows),
		STORE_TEST(test_index_is_starved),
		STORE_TEST(test_index_catches_up),
		STORE_TEST(test_one_block_a_call),
		STORE_TEST(test_blocks_go_back),
		STORE_TEST(test_block_is_kept),
		STORE_TEST(test_eviction_passes_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

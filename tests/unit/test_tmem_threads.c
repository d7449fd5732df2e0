/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page store under two CPUs of one guest: no page is ever torn, no persistent page is ever
 * missed, and pools that come and go under the other's calls leave the accounts in order. And the
 * same while a third compresses and moves what it can, and empties the blocks that all of it is in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <tidepool/abi.h>

#include "tests/unit/model_host.h"
#include "tmem/client.h"
#include "tmem/frame.h"
#include "tmem/hold.h"

#define THREADS 2u
#define CALLS	150000u /* of each thread */

#define EMPTY_MAX  100000u
#define EMPTY_EACH 4u /* steps of an idle CPU there is one of emptying blocks */

#define COMPRESS_CAP 60u /* pages that are compressed need much less */

/* Pools, by what they are for. */
enum {
	OWN,	/* persistent; each thread has object ids of its own, and knows what they hold */
	SHARED, /* persistent; all threads use the same few keys */
	CACHE,	/* ephemeral, likewise */
	FIXED_POOLS,
};

#define OWN_INDICES    300u
#define SHARED_INDICES 8u

#define WORDS (TMEM_PAGE_SIZE / sizeof(uint64_t))

static _Thread_local struct tmem_client *client; /* the thread's */
static bool few_contents;			 /* else no two pages put are alike */
static bool compresses, ended;
static uint64_t moved; /* blocks that were handed back */

/*
 * Whether a put did what it may: a page that shares its memory, or is compressed, can be lost to
 * the one for its key.
 */
static bool put_ended(int64_t ret)
{
	return ret == 0 || ret == -TIDEPOOL_ENOMEM ||
	       (ret == -TIDEPOOL_ENOSPC && (few_contents || compresses));
}

/* cmocka's asserts are not for threads. */
static void check(bool ok)
{
	if (!ok)
		abort();
}

struct thread {
	pthread_t id;
	struct tmem_client *client;
	uint64_t number;
	uint64_t random;
	uint64_t stamp;
	uint64_t own[OWN_INDICES]; /* the stamp in each of its own pages; 0: none */
	uint64_t got;
	uint64_t pairs;
	uint64_t page[WORDS] __attribute__((aligned(4096)));
	uint64_t second[WORDS] __attribute__((aligned(4096)));
};

static uint64_t random_next(struct thread *thread)
{
	thread->random ^= thread->random << 13;
	thread->random ^= thread->random >> 7;
	thread->random ^= thread->random << 17;
	return thread->random;
}

/* Contents that show whose they are, and whether all of them belong together. */
static void page_fill(struct thread *thread, uint64_t index)
{
	unsigned int i;

	thread->stamp++;
	for (i = 0; i < WORDS; i++)
		thread->page[i] = few_contents ? index << 48 | (thread->stamp % 4 + 1)
					       : index << 48 | thread->number << 40 | thread->stamp;
}

static void page_check(const struct thread *thread, uint64_t index)
{
	check(thread->page[0] >> 48 == index);
	check(memcmp(thread->page, thread->page + 1, TMEM_PAGE_SIZE - sizeof(uint64_t)) == 0);
}

static void own_call(struct thread *thread)
{
	uint64_t index = random_next(thread) % OWN_INDICES;
	struct tmem_key key = {.oid = {thread->number, 1, 2}, .index = index};
	uint64_t *own = &thread->own[index];
	int64_t ret;

	switch (random_next(thread) % 4) {
	case 0:
		check(tmem_flush_page(client, OWN, &key) == (*own != 0));
		*own = 0;
		return;
	case 1:
		ret = tmem_get(client, OWN, &key, thread->page);
		check(ret == (*own ? 0 : -TIDEPOOL_ENOENT));
		if (*own) {
			page_check(thread, index);
			check(thread->page[0] == *own);
		}
		return;
	default:
		page_fill(thread, index);
		ret = tmem_put(client, OWN, &key, thread->page);
		check(put_ended(ret) && (ret != -TIDEPOOL_ENOMEM || *own == 0));
		*own = ret == 0 ? thread->page[0] : 0;
	}
}

/* The operations on parts, on all of a page: they must not tear one either. */
static void whole_call(struct thread *thread, uint64_t pool, uint64_t index)
{
	const struct tmem_span whole = {.length = TMEM_PAGE_SIZE};
	struct tmem_key key = {.oid = {7, 7, 7}, .index = index};
	int64_t ret;

	page_fill(thread, index);
	switch (random_next(thread) % 4) {
	case 0:
		ret = tmem_read(client, pool, &key, &whole, thread->page);
		break;
	case 1:
		ret = tmem_exchange(client, pool, &key, &whole, thread->page);
		break;
	case 2:
		ret = tmem_flush_range(client, pool, key.oid, index, 1);
		check(ret == 1);
		break;
	default:
		ret = tmem_write(client, pool, &key, &whole, thread->page);
	}
	check(ret >= 0 || ret == -TIDEPOOL_ENOENT || ret == -TIDEPOOL_ENOMEM ||
	      ret == -TIDEPOOL_ENOSPC);
	page_check(thread, index);
}

/* Two pages at once, in any order of their shards. */
static void pair_call(struct thread *thread, uint64_t pool, uint64_t index)
{
	uint64_t other = random_next(thread) % SHARED_INDICES;
	struct tmem_get gets[2] = {
		{.pool = pool, .key = {{7, 7, 7}, index}, .page = thread->page},
		{.pool = pool, .key = {{7, 7, 7}, other}, .page = thread->second},
	};
	int64_t ret = tmem_get_all(client, gets, 2);

	check(ret == 0 || ret == -TIDEPOOL_ENOENT);
	if (ret)
		return;
	page_check(thread, index);
	check(thread->second[0] >> 48 == other);
	check(memcmp(thread->second, thread->second + 1, TMEM_PAGE_SIZE - 8) == 0);
	thread->pairs++;
}

static void shared_call(struct thread *thread, uint64_t pool)
{
	uint64_t index = random_next(thread) % SHARED_INDICES;
	struct tmem_key key = {.oid = {7, 7, 7}, .index = index};
	int64_t ret;

	switch (random_next(thread) % 8) {
	case 0:
		ret = tmem_flush_page(client, pool, &key);
		check(ret == 0 || ret == 1);
		return;
	case 1:
		ret = tmem_flush_object(client, pool, key.oid);
		check(ret == 0 || ret == -TIDEPOOL_EAGAIN);
		return;
	case 2:
		pair_call(thread, pool, index);
		return;
	case 3:
		whole_call(thread, pool, index);
		return;
	case 4:
		ret = tmem_get(client, pool, &key, thread->page);
		check(ret == 0 || ret == -TIDEPOOL_ENOENT);
		if (ret == 0) {
			page_check(thread, index);
			thread->got++;
		}
		return;
	default:
		page_fill(thread, index);
		ret = tmem_put(client, pool, &key, thread->page);
		check(put_ended(ret));
	}
}

/* Pools beyond the fixed ones: any thread creates, fills and destroys any of them. */
static void pool_call(struct thread *thread)
{
	static const uint64_t uuid[2];
	uint64_t pool = FIXED_POOLS + random_next(thread) % 2;
	uint64_t index = random_next(thread) % SHARED_INDICES;
	struct tmem_key key = {.oid = {9}, .index = index};
	uint64_t flags = TIDEPOOL_POOL_VERSION;
	int64_t ret;

	switch (random_next(thread) % 16) {
	case 0:
		if (random_next(thread) % 2)
			flags |= TIDEPOOL_POOL_PERSISTENT;
		ret = tmem_pool_create(client, flags, uuid);
		check(ret >= FIXED_POOLS || ret == -TIDEPOOL_ENOMEM);
		return;
	case 1:
		ret = tmem_pool_destroy(client, pool);
		check(ret == 0 || ret == -TIDEPOOL_EAGAIN || ret == -TIDEPOOL_ENODEV);
		return;
	case 2:
		ret = tmem_pool_destroy(client, FIXED_POOLS + 2 + random_next(thread) % 250);
		check(ret == 0 || ret == -TIDEPOOL_EAGAIN || ret == -TIDEPOOL_ENODEV);
		return;
	case 3:
	case 4:
		ret = tmem_flush_object(client, pool, key.oid);
		check(ret == 0 || ret == -TIDEPOOL_EAGAIN || ret == -TIDEPOOL_ENODEV);
		return;
	case 5:
	case 6:
	case 7:
	case 8:
		ret = tmem_get(client, pool, &key, thread->page);
		check(ret == 0 || ret == -TIDEPOOL_ENOENT || ret == -TIDEPOOL_ENODEV);
		if (ret == 0)
			page_check(thread, index);
		return;
	default:
		page_fill(thread, index);
		ret = tmem_put(client, pool, &key, thread->page);
		check(put_ended(ret) || ret == -TIDEPOOL_ENODEV);
	}
}

static void *thread_run(void *argument)
{
	struct thread *thread = argument;
	unsigned int i;

	client = thread->client;
	for (i = 0; i < CALLS; i++) {
		switch (random_next(thread) % 4) {
		case 0:
			own_call(thread);
			break;
		case 1:
			shared_call(thread, SHARED);
			break;
		case 2:
			shared_call(thread, CACHE);
			break;
		default:
			pool_call(thread);
		}
	}
	return NULL;
}

static void *idle_run(void *argument)
{
	unsigned int n = 0;

	(void)argument;
	while (!__atomic_load_n(&ended, __ATOMIC_RELAXED)) {
		if (n++ % EMPTY_EACH == 0)
			moved += tmem_relinquish(2) == 1;
		if (!tmem_idle_step(true))
			sched_yield();
	}
	(void)tmem_relinquish(0);
	return NULL;
}

static struct tmem_client *guest_create(uint64_t cap, uint32_t dedup)
{
	static const uint64_t uuid[2];
	const struct tmem_limits limits = {.cap = cap, .compress = compresses, .dedup = dedup};
	const uint64_t persistent = TIDEPOOL_POOL_VERSION | TIDEPOOL_POOL_PERSISTENT;
	struct tmem_client *guest = tmem_client_create(&limits);

	assert_non_null(guest);
	assert_int_equal(tmem_pool_create(guest, persistent, uuid), OWN);
	assert_int_equal(tmem_pool_create(guest, persistent, uuid), SHARED);
	assert_int_equal(tmem_pool_create(guest, TIDEPOOL_POOL_VERSION, uuid), CACHE);
	return guest;
}

/* Fail unless the guests' accounts agree with the store's. */
static void accounts_check(struct tmem_client *const *guests, unsigned int count, uint64_t cap)
{
	uint64_t held = 0, charged = 0;
	struct tmem_store_stats store;
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct tmem_stats stats;

		tmem_client_stats(guests[i], &stats);
		/* A move that was given up has left what the guest was lent for it. */
		assert_true(stats.charged <= cap || stats.charged - cap <= TMEM_LENT_MAX);
		held += stats.held;
		charged += stats.charged;
	}
	tmem_store_stats(&store);
	assert_int_equal(store.pages_held, held);
	assert_int_equal(store.pages_free + charged - tmem_hold_count(),
			 store.blocks * TMEM_FRAMES_PER_BLOCK);
}

/* @count: guests, one for all threads or one for each */
static void threads_run(unsigned int count, uint64_t cap, uint32_t dedup)
{
	static struct thread threads[THREADS];
	struct tmem_client *guests[THREADS];
	struct tmem_store_stats store;
	pthread_t idle;
	unsigned int i;

	ended = false;
	moved = 0;
	assert_int_equal(model_host_start(UINT64_MAX), 0);
	few_contents = dedup != TMEM_DEDUP_OFF;
	for (i = 0; i < count; i++)
		guests[i] = guest_create(cap, dedup);

	assert_int_equal(pthread_create(&idle, NULL, idle_run, NULL), 0);
	for (i = 0; i < THREADS; i++) {
		memset(&threads[i], 0, sizeof(threads[i]));
		threads[i].client = guests[i % count];
		threads[i].number = i;
		threads[i].random = i + 1;
		assert_int_equal(pthread_create(&threads[i].id, NULL, thread_run, &threads[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i].id, NULL), 0);
		assert_true(threads[i].got > 0);
		assert_true(threads[i].pairs > 0);
	}
	__atomic_store_n(&ended, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(idle, NULL), 0);
	assert_true(!compresses || (model_host.compressed > 0 && model_host.decompressed > 0));

	accounts_check(guests, count, cap);
	/*
	 * On a busy machine no block may have come so far. At their caps clients have so few pages
	 * that all may lie in one block, which nothing is gained by emptying.
	 */
	for (i = 0; i < EMPTY_MAX && moved == 0 && cap == UINT64_MAX; i++)
		moved += tmem_relinquish(2) == 1;
	assert_true(moved > 0 || cap != UINT64_MAX);
	(void)tmem_relinquish(0);
	tmem_store_stats(&store);
	assert_true(!few_contents || compresses || store.pages_saved > 0);
	for (i = 0; i < count; i++)
		while (tmem_client_destroy(guests[i]) == -TIDEPOOL_EAGAIN)
			;
	tmem_store_stats(&store);
	assert_int_equal(store.blocks, 1);
	assert_int_equal(store.pages_free, TMEM_FRAMES_PER_BLOCK);
	model_host_stop();
}

static void test_threads(void **state)
{
	(void)state;
	threads_run(1, UINT64_MAX, TMEM_DEDUP_OFF);
}

static void test_threads_at_cap(void **state)
{
	(void)state;
	threads_run(1, 300, TMEM_DEDUP_OFF);
}

/* Pages that come, go and change while another CPU finds and shares them. */
static void test_threads_of_equal_pages(void **state)
{
	(void)state;
	threads_run(1, 300, TMEM_DEDUP_ALONE);
}

static void test_threads_of_a_group(void **state)
{
	(void)state;
	threads_run(THREADS, 300, TMEM_DEDUP_GROUP);
}

static void test_threads_compressing(void **state)
{
	(void)state;
	compresses = true;
	threads_run(1, COMPRESS_CAP, TMEM_DEDUP_OFF);
}

static void test_threads_compressing_equal_pages(void **state)
{
	(void)state;
	compresses = true;
	threads_run(1, COMPRESS_CAP, TMEM_DEDUP_ALONE);
	threads_run(THREADS, COMPRESS_CAP, TMEM_DEDUP_GROUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_threads_at_cap),
		cmocka_unit_test(test_threads_of_equal_pages),
		cmocka_unit_test(test_threads_of_a_group),
		cmocka_unit_test(test_threads_compressing),
		cmocka_unit_test(test_threads_compressing_equal_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The page store, one rule a test: what each call does. The rules are docs/abi.md's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"
#include "tmem/client.h"
#include "tmem/hash.h"
#include "tmem/lock.h"

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
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	model_host.on_copy = destroy_in_copy;
	assert_int_equal(get(0, 1, 1), 'a');
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_persistent_get_keeps), STORE_TEST(test_ephemeral_get_removes),
		STORE_TEST(test_second_put_replaces),  STORE_TEST(test_flush_page),
		STORE_TEST(test_keys_are_apart),       STORE_TEST(test_flush_object_in_steps),
		STORE_TEST(test_pool_flags),	       STORE_TEST(test_pool_numbers),
		STORE_TEST(test_no_such_pool),	       STORE_TEST(test_pool_destroy_in_steps),
		STORE_TEST(test_destroy_on_two_cpus),  cmocka_unit_test(test_lock_try),
		cmocka_unit_test(test_hash_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an operator does to a client: frozen, its pages only become fewer; its ephemeral pages are
 * dropped; of so many puts one is refused. The coherence rules hold as ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/model_calls.h"

static void test_new_puts_are_refused(void **state)
{
	const uint64_t flags[] = {PERSISTENT, EPHEMERAL};
	struct tmem_key key = key_at(1, 3);
	uint64_t pool;

	(void)state;
	for (pool = 0; pool < 2; pool++) {
		assert_int_equal(pool_create(flags[pool]), pool);
		assert_int_equal(put(pool, 1, 1, 'a'), 0);
		tmem_client_freeze(client, TMEM_FREEZE_OPERATOR);
		assert_int_equal(put(pool, 1, 2, 'b'), -TIDEPOOL_EFROZEN);
		assert_int_equal(tmem_new_page(client, pool, &key), -TIDEPOOL_EFROZEN);
		assert_int_equal(get(pool, 1, 2), -TIDEPOOL_ENOENT);
		assert_int_equal(get(pool, 1, 3), -TIDEPOOL_ENOENT);
		assert_int_equal(get(pool, 1, 1), 'a');
		tmem_client_thaw(client, TMEM_FREEZE_OPERATOR);
		assert_int_equal(put(pool, 1, 2, 'b'), 0);
		assert_int_equal(get(pool, 1, 2), 'b');
	}
	assert_int_equal(stats_of(client).refused, 4);
}

/* Rule 2: refused, and the page that was to be replaced is gone. */
static void test_replacements_drop(void **state)
{
	const struct tmem_span span = {.length = 1};
	struct tmem_key key = key_at(1, 2);
	char data[TMEM_PAGE_SIZE] __attribute__((aligned(4096))) = {'x'};

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	assert_int_equal(put(0, 1, 2, 'b'), 0);
	tmem_client_freeze(client, TMEM_FREEZE_OPERATOR);
	assert_int_equal(put(0, 1, 1, 'c'), -TIDEPOOL_ENOSPC);
	assert_int_equal(get(0, 1, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(put(0, 1, 1, 'c'), -TIDEPOOL_EFROZEN);

	/* An exchange changes nothing; a write is a put. */
	assert_int_equal(tmem_exchange(client, 0, &key, &span, data), -TIDEPOOL_EFROZEN);
	assert_int_equal(data[0], 'x');
	assert_int_equal(get(0, 1, 2), 'b');
	assert_int_equal(tmem_write(client, 0, &key, &span, data), -TIDEPOOL_ENOSPC);
	assert_int_equal(get(0, 1, 2), -TIDEPOOL_ENOENT);
	assert_int_equal(tmem_write(client, 0, &key, &span, data), -TIDEPOOL_EFROZEN);
	assert_int_equal(tmem_exchange(client, 0, &key, &span, data), -TIDEPOOL_ENOENT);
	assert_int_equal(stats_of(client).held, 0);
	tmem_client_thaw(client, TMEM_FREEZE_OPERATOR);
}

static void test_gets_and_flushes_go_on(void **state)
{
	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(pool_create(EPHEMERAL), 1);
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	assert_int_equal(put(0, 2, 1, 'b'), 0);
	assert_int_equal(put(1, 1, 1, 'c'), 0);
	tmem_client_freeze(client, TMEM_FREEZE_SAVE);
	assert_int_equal(get(1, 1, 1), 'c');
	assert_int_equal(get(1, 1, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(flush(0, 1, 1), 1);
	assert_int_equal(flush_object(0, 2), 0);
	assert_int_equal(stats_of(client).held, 0);
	assert_int_equal(pool_create(PERSISTENT), -TIDEPOOL_EFROZEN);
	assert_int_equal(pool_create(0), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_pool_destroy(client, 1), 0);
	assert_int_equal(put(1, 1, 1, 'c'), -TIDEPOOL_ENODEV);

	/* Each reason stands for itself. */
	tmem_client_freeze(client, TMEM_FREEZE_OPERATOR);
	tmem_client_thaw(client, TMEM_FREEZE_SAVE);
	assert_int_equal(put(0, 1, 1, 'a'), -TIDEPOOL_EFROZEN);
	tmem_client_thaw(client, TMEM_FREEZE_OPERATOR);
	assert_int_equal(put(0, 1, 1, 'a'), 0);
}

/* The oldest first, as many as are asked for; persistent pages stay, frozen or not. */
static void test_ephemeral_pages_are_evicted(void **state)
{
	uint64_t charged;
	unsigned int i;

	(void)state;
	assert_int_equal(tmem_client_evict(client, 1), 0);
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(pool_create(EPHEMERAL), 1);
	assert_int_equal(put(0, 1, 1, 'p'), 0);
	charged = stats_of(client).charged;
	for (i = 0; i < 100; i++)
		assert_int_equal(put(1, i, 1, (char)i), 0);
	tmem_client_freeze(client, TMEM_FREEZE_OPERATOR);
	assert_int_equal(tmem_client_evict(client, 40), 40);
	assert_int_equal(stats_of(client).held, 61);
	assert_int_equal(stats_of(client).evicted, 40);
	assert_int_equal(tmem_client_evict(client, 1000), 60);
	assert_int_equal(tmem_client_evict(client, 1000), 0);
	for (i = 0; i < 100; i++)
		assert_int_equal(get(1, i, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(get(0, 1, 1), 'p');
	assert_int_equal(stats_of(client).held, 1);
	assert_int_equal(stats_of(client).charged, charged);
	tmem_client_thaw(client, TMEM_FREEZE_OPERATOR);
	assert_int_equal(put(1, 1, 1, 'a'), 0);
	assert_int_equal(get(1, 1, 1), 'a');
}

/* As for want of memory: a page that was to be replaced is gone (rule 2). */
static void test_every_third_put_is_refused(void **state)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX, .refuse = 3};
	unsigned int i;

	(void)state;
	client_destroy(client);
	client = tmem_client_create(&limits);
	assert_non_null(client);
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 1; i <= 6; i++)
		assert_int_equal(put(0, 1, i, 'a'), i % 3 ? 0 : -TIDEPOOL_ENOMEM);
	assert_int_equal(put(0, 1, 1, 'b'), 0);
	assert_int_equal(put(0, 1, 2, 'b'), 0);
	assert_int_equal(put(0, 1, 1, 'c'), -TIDEPOOL_ENOSPC);
	assert_int_equal(get(0, 1, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(get(0, 1, 2), 'b');
	assert_int_equal(stats_of(client).refused, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_new_puts_are_refused),
		STORE_TEST(test_replacements_drop),
		STORE_TEST(test_gets_and_flushes_go_on),
		STORE_TEST(test_ephemeral_pages_are_evicted),
		STORE_TEST(test_every_third_put_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

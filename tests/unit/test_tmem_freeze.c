/* SPDX-License-Identifier: BSD-2-Clause */
/* A frozen client: its pages only become fewer, and the coherence rules hold as ever. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_new_puts_are_refused),
		STORE_TEST(test_replacements_drop),
		STORE_TEST(test_gets_and_flushes_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

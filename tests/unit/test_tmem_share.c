/* SPDX-License-Identifier: BSD-2-Clause */
/* Cap, reserve and weight: each is proved here by guests that do their worst. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"
#include "tmem/client.h"
#include "tmem/frame.h"
#include "tmem/share.h"

#define HOST_BLOCKS 4u
#define HOST_FRAMES (HOST_BLOCKS * TMEM_FRAMES_PER_BLOCK - MODEL_HOST_CPUS)
#define MANY	    (3u * HOST_FRAMES) /* pages: more than the host has room for */

/* Two guests on a host of 8 MiB. */
static struct tmem_client *first, *second;

static struct tmem_client *guest_create(uint64_t cap, uint64_t reserve, uint16_t weight)
{
	const struct tmem_limits limits = {.cap = cap, .reserve = reserve, .weight = weight};
	struct tmem_client *guest = tmem_client_create(&limits);
	int ret;

	assert_non_null(guest);
	do
		ret = tmem_client_prepare(guest);
	while (ret == -TIDEPOOL_EAGAIN);
	assert_int_equal(ret, 0);
	return guest;
}

static void pools_create(struct tmem_client *guest)
{
	client = guest;
	assert_int_equal(pool_create(EPHEMERAL), 0);
	assert_int_equal(pool_create(PERSISTENT), 1);
}

/* Two guests with an ephemeral pool 0 and a persistent pool 1 each. */
static void guests_start(uint64_t reserve, uint16_t first_weight, uint16_t second_weight)
{
	model_host.limit = HOST_BLOCKS;
	first = guest_create(UINT64_MAX, 0, first_weight);
	second = guest_create(UINT64_MAX, reserve, second_weight);
	pools_create(first);
	pools_create(second);
}

static void guests_end(struct tmem_client *own)
{
	client_destroy(first);
	client_destroy(second);
	client = own;
}

static int64_t put_as(struct tmem_client *guest, uint64_t pool, uint64_t index)
{
	client = guest;
	return put(pool, 1, index, 'a');
}

/* Whoever puts less than its share keeps all of it, however much the other puts. */
static void test_greedy_guest_pays(void **state)
{
	struct tmem_client *own = client;
	uint64_t i;

	(void)state;
	guests_start(0, 1, 1);
	for (i = 0; i < HOST_FRAMES / 3; i++)
		assert_int_equal(put_as(second, 0, i), 0);
	for (i = 0; i < MANY; i++)
		assert_int_equal(put_as(first, 0, i), 0);
	assert_int_equal(stats_of(second).evicted, 0);
	assert_int_equal(stats_of(second).held, HOST_FRAMES / 3);
	assert_true(stats_of(first).evicted > 0);
	guests_end(own);
}

/* The memory that both want ends up as their weights say, whoever was there first. */
static void test_weight(void **state)
{
	static const uint16_t weights[][2] = {{1, 1}, {1, 3}, {3, 1}, {0, 4}};
	struct tmem_client *own = client;
	unsigned int n;

	(void)state;
	for (n = 0; n < 4; n++) {
		uint64_t a = weights[n][0] ? weights[n][0] : 1, b = weights[n][1], i, expected;

		guests_start(0, weights[n][0], weights[n][1]);
		for (i = 0; i < MANY; i++)
			assert_int_equal(put_as(first, 0, i), 0);
		for (i = 0; i < MANY; i++)
			assert_int_equal(put_as(second, 0, i), 0);
		for (i = 0; i < MANY; i++)
			assert_int_equal(put_as(n % 2 ? first : second, 0, MANY + i), 0);
		/* To a few frames: records are given back by the 63. */
		expected = (HOST_FRAMES - 1) * a / (a + b);
		assert_in_range(stats_of(first).charged, expected - 8, expected + 8);
		assert_true(stats_of(first).charged + stats_of(second).charged > HOST_FRAMES - 8);
		guests_end(own);
	}
}

/* A reserve is there when it is wanted, though others put all they can, and for persistent pages.
 */
static void test_reserve_is_kept(void **state)
{
	const uint64_t reserve = HOST_FRAMES / 2;
	struct tmem_client *own = client;
	uint64_t pool, i;

	(void)state;
	for (pool = 0; pool < 2; pool++) {
		guests_start(reserve, 100, 1);
		for (i = 0; i < MANY; i++)
			(void)put_as(first, 1, i);
		assert_in_range(stats_of(first).charged, HOST_FRAMES - reserve - 3,
				HOST_FRAMES - reserve);
		assert_int_equal(put_as(first, 1, MANY), -TIDEPOOL_ENOMEM);
		for (i = 0; stats_of(second).charged < reserve; i++) {
			assert_int_equal(put_as(second, pool, i), 0);
			(void)put_as(first, 0, i);
		}
		assert_int_equal(stats_of(second).evicted, 0);
		assert_int_equal(stats_of(second).held, i);
		/* What it gives up is still its own. */
		while (i-- > reserve / 2) {
			client = second;
			assert_int_equal(flush(pool, 1, i), 1);
			assert_int_equal(put_as(first, 1, MANY), -TIDEPOOL_ENOMEM);
		}
		guests_end(own);
	}
}

/* Neither does anybody's insisting evict what is inside of a reserve. */
static void test_reserve_is_not_evicted(void **state)
{
	const uint64_t reserve = HOST_FRAMES / 2;
	struct tmem_client *own = client;
	uint64_t i;

	(void)state;
	guests_start(reserve, 1, 1);
	for (i = 0; i < MANY; i++)
		assert_int_equal(put_as(second, 0, i), 0);
	for (i = 0; i < MANY; i++)
		(void)put_as(first, 1, i);
	assert_in_range(stats_of(second).charged, reserve - 2, reserve);
	assert_in_range(stats_of(first).charged, HOST_FRAMES - reserve - 4, HOST_FRAMES - reserve);
	guests_end(own);
}

/*
 * Persistent pages are what guests cannot do without: they take other guests' ephemeral ones, but
 * their owner's first, if it holds more than its share.
 */
static void test_persistent_takes_ephemeral(void **state)
{
	struct tmem_client *own = client;
	uint64_t i;

	(void)state;
	guests_start(0, 1, 1);
	for (i = 0; i < MANY; i++)
		assert_int_equal(put_as(first, 0, i), 0);
	for (i = 0; put_as(second, 1, i) == 0; i++)
		;
	assert_int_equal(stats_of(first).held, 0);
	assert_true(i > HOST_FRAMES * 9 / 10);
	/* An ephemeral put of the guest that is below its share has nothing to take, either. */
	assert_int_equal(put_as(first, 0, 1), -TIDEPOOL_ENOMEM);
	assert_int_equal(stats_of(second).evicted, 0);
	guests_end(own);
}

/* A cap is never exceeded, whatever is free, and at its cap a guest pays for itself. */
static void test_cap(void **state)
{
	struct tmem_client *own = client;
	uint64_t i;

	(void)state;
	model_host.limit = HOST_BLOCKS;
	first = guest_create(300, 200, 1);
	second = guest_create(UINT64_MAX, 0, 1);
	pools_create(first);
	pools_create(second);
	for (i = 0; i < MANY; i++)
		assert_int_equal(put_as(second, 0, i), 0);
	for (i = 0; i < MANY; i++) {
		assert_int_equal(put_as(first, 0, i), 0);
		assert_true(stats_of(first).charged <= 300);
	}
	assert_int_equal(stats_of(first).charged, 300);
	for (i = 0; put_as(first, 1, i) == 0; i++)
		assert_true(stats_of(first).charged <= 300);
	assert_int_equal(stats_of(first).charged, 300);
	assert_true(stats_of(second).charged >= HOST_FRAMES - 300 - 3);
	guests_end(own);
}

/* A reserve that the host cannot keep is refused, and costs nobody anything. */
static void test_reserve_too_large(void **state)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX, .reserve = HOST_FRAMES + 1};
	struct tmem_client *guest;
	uint64_t i;

	(void)state;
	model_host.limit = HOST_BLOCKS;
	guest = tmem_client_create(&limits);
	assert_non_null(guest);
	for (i = 0; tmem_client_prepare(guest) == -TIDEPOOL_EAGAIN; i++)
		assert_true(model_host.live <= i + 2); /* a block a step */
	assert_int_equal(tmem_client_prepare(guest), -TIDEPOOL_ENOMEM);
	assert_int_equal(i, HOST_BLOCKS - 1);
	client_destroy(guest);
}

/* Who is being served by another CPU, is passed over. */
static void test_busy_guest_is_passed_over(void **state)
{
	struct tmem_client *own = client;
	uint64_t i;

	(void)state;
	guests_start(0, 1, 1);
	for (i = 0; i < 10; i++)
		assert_int_equal(put_as(first, 0, i), 0);
	assert_true(tmem_lock_try(&first->lock));
	assert_null(tmem_share_victim(second, true));
	tmem_lock_release(&first->lock);
	assert_ptr_equal(tmem_share_victim(second, true), first);
	assert_false(tmem_lock_try(&first->lock));
	tmem_lock_release(&first->lock);
	assert_null(tmem_share_victim(first, true));
	guests_end(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_greedy_guest_pays),
		STORE_TEST(test_weight),
		STORE_TEST(test_reserve_is_kept),
		STORE_TEST(test_reserve_is_not_evicted),
		STORE_TEST(test_persistent_takes_ephemeral),
		STORE_TEST(test_cap),
		STORE_TEST(test_reserve_too_large),
		STORE_TEST(test_busy_guest_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Equal pages of one guest share memory: what they cost, and how they part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/dedup_calls.h"
#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"

#define TABLE_FRAMES 3u	  /* of a client with few contents */
#define REFS_MAX     255u /* pages that share one frame */

static void test_equal_pages_cost_one_frame(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_ALONE);
	uint64_t i, base = stats_of(guest).charged;

	(void)state;
	for (i = 0; i < 40; i++)
		assert_int_equal(dedup_put_as(guest, i % 2, i, 7), 0);
	assert_in_range(stats_of(guest).charged, base + 1, base + 1 + TABLE_FRAMES + 3);
	assert_int_equal(stats_of(guest).shared, 39);
	assert_int_equal(dedup_saved(), 39);
	for (i = 0; i < 40; i++)
		dedup_expect_as(guest, i % 2, i, 7);
	assert_int_equal(stats_of(guest).shared, 19); /* the ephemeral ones are gone */
	for (i = 0; i < 40; i += 2)
		dedup_flush_as(guest, 0, i);
	assert_int_equal(dedup_saved(), 0);
	dedup_accounts_check(&guest, 1);
	client_destroy(guest);
}

static void test_off(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_OFF);
	uint64_t i, base = stats_of(guest).charged, compared = model_host.compared;

	(void)state;
	for (i = 0; i < 40; i++)
		assert_int_equal(dedup_put_as(guest, 0, i, 7), 0);
	assert_true(stats_of(guest).charged >= base + 40);
	assert_int_equal(dedup_saved(), 0);
	assert_int_equal(model_host.compared, compared);
	client_destroy(guest);
}

/* More pages than one frame can count: they take another. */
static void test_many_equal_pages(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_ALONE);
	uint64_t i;

	(void)state;
	for (i = 0; i < 2 * REFS_MAX + 10; i++)
		assert_int_equal(dedup_put_as(guest, 0, i, 7), 0);
	assert_int_equal(stats_of(guest).shared, 2 * REFS_MAX + 10 - 3);
	for (i = 0; i < 2 * REFS_MAX + 10; i++)
		dedup_expect_as(guest, 0, i, 7);
	for (i = 0; i < 2 * REFS_MAX + 10; i++)
		dedup_flush_as(guest, 0, i);
	assert_int_equal(stats_of(guest).shared, 0);
	dedup_accounts_check(&guest, 1);
	client_destroy(guest);
}

/* What is written to one page does not show in another, whichever way it is written. */
static void test_parting(void **state)
{
	const struct tmem_span span = {.length = 8, .offset = 80};
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_ALONE);
	struct tmem_key key;
	uint64_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		assert_int_equal(dedup_put_as(guest, 0, i, 7), 0);
	assert_int_equal(dedup_put_as(guest, 0, 0, 8), 0);
	dedup_page[0] = 0xdead;
	key = key_at(0, 1);
	assert_int_equal(tmem_write(guest, 0, &key, &span, dedup_page), 0);
	key = key_at(0, 2);
	assert_int_equal(tmem_exchange(guest, 0, &key, &span, dedup_page), 0);
	assert_int_equal(dedup_page[0], 7010);
	assert_int_equal(stats_of(guest).shared, 0);

	dedup_expect_as(guest, 0, 0, 8);
	dedup_expect_as(guest, 0, 3, 7);
	for (i = 1; i < 3; i++) {
		assert_int_equal(dedup_get_as(guest, 0, i), 0);
		assert_int_equal(dedup_page[10], 0xdead);
		assert_int_equal(dedup_page[9], 7009);
		assert_int_equal(dedup_page[11], 7011);
	}
	/* Page 3 is alone now: it is written to where it is, and equal pages find it no more. */
	dedup_page[0] = 0xbeef;
	key = key_at(0, 3);
	assert_int_equal(tmem_write(guest, 0, &key, &span, dedup_page), 0);
	assert_int_equal(dedup_put_as(guest, 0, 4, 7), 0);
	dedup_expect_as(guest, 0, 4, 7);
	assert_int_equal(dedup_saved(), 0);
	dedup_accounts_check(&guest, 1);
	client_destroy(guest);
}

/* A page over itself, over an equal one, and over one that others share. */
static void test_replacing(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_ALONE);
	uint64_t charged;

	(void)state;
	assert_int_equal(dedup_put_as(guest, 0, 0, 1), 0);
	charged = stats_of(guest).charged;
	assert_int_equal(dedup_put_as(guest, 0, 0, 1), 0);
	dedup_expect_as(guest, 0, 0, 1);
	assert_int_equal(dedup_put_as(guest, 0, 0, 2), 0);
	dedup_expect_as(guest, 0, 0, 2);
	assert_int_equal(stats_of(guest).charged, charged);
	assert_int_equal(dedup_put_as(guest, 0, 1, 1), 0);
	assert_int_equal(dedup_put_as(guest, 0, 0, 1), 0);
	assert_int_equal(stats_of(guest).shared, 1);
	assert_int_equal(stats_of(guest).charged, charged);
	dedup_expect_as(guest, 0, 0, 1);
	memset(dedup_page, 0, sizeof(dedup_page));
	assert_int_equal(tmem_put(guest, 0, &(struct tmem_key){.index = 0}, dedup_page), 0);
	assert_int_equal(stats_of(guest).shared, 0);
	dedup_expect_as(guest, 0, 1, 1);
	dedup_accounts_check(&guest, 1);
	client_destroy(guest);
}

static uint64_t hash_none(const void *data)
{
	(void)data;
	return 0x1234567;
}

/* Fingerprints that tell nothing: each page is kept as it is, and few are compared with. */
static void test_equal_fingerprints(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_ALONE);
	uint64_t i, compared;

	(void)state;
	model_host.hash = hash_none;
	for (i = 0; i < 100; i++) {
		compared = model_host.compared;
		assert_int_equal(dedup_put_as(guest, 0, i, i), 0);
		assert_in_range(model_host.compared, compared, compared + 2);
	}
	assert_int_equal(stats_of(guest).shared, 0);
	for (i = 0; i < 100; i++)
		dedup_expect_as(guest, 0, i, i);
	/* The first ones are found still. */
	assert_int_equal(dedup_put_as(guest, 0, 100, 0), 0);
	assert_int_equal(stats_of(guest).shared, 1);
	for (i = 0; i < 100; i++)
		dedup_flush_as(guest, 0, i);
	dedup_expect_as(guest, 0, 100, 0);
	dedup_accounts_check(&guest, 1);
	client_destroy(guest);
}

static uint64_t hash_then_change(const void *data)
{
	uint64_t first = *(const uint64_t *)data;

	dedup_page_fill(3); /* the guest writes its page meanwhile */
	return first;
}

/* What is stored is what was compared, or what was copied: never half of each. */
static void test_guest_writes_meanwhile(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_ALONE);

	(void)state;
	model_host.hash = hash_then_change;
	assert_int_equal(dedup_put_as(guest, 0, 0, 1), 0);
	assert_int_equal(dedup_put_as(guest, 0, 1, 1),
			 0); /* looks like the first, until it is compared */
	assert_int_equal(dedup_put_as(guest, 0, 2, 3), 0);
	assert_int_equal(dedup_put_as(guest, 0, 3, 3), 0);
	assert_int_equal(stats_of(guest).shared, 1);
	dedup_expect_as(guest, 0, 0, 1);
	dedup_expect_as(guest, 0, 1, 1);
	dedup_expect_as(guest, 0, 2, 3);
	dedup_expect_as(guest, 0, 3, 3);
	client_destroy(guest);
}

#define GROWN 30000u

/* As the table grows, everything in it is still found, and no put takes much for it. */
static void test_table_grows(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_ALONE);
	uint64_t i, charged;

	(void)state;
	for (i = 0; i < GROWN; i++) {
		charged = stats_of(guest).charged;
		assert_int_equal(dedup_put_as(guest, 0, i, i), 0);
		assert_in_range(stats_of(guest).charged, charged, charged + 12);
	}
	charged = stats_of(guest).charged;
	for (i = 0; i < GROWN; i++)
		assert_int_equal(dedup_put_as(guest, 1, i, i), 0);
	assert_in_range(stats_of(guest).shared, GROWN * 98 / 100, GROWN);
	assert_in_range(stats_of(guest).charged, charged, charged + GROWN / 10);
	for (i = 0; i < GROWN; i += 7) {
		dedup_expect_as(guest, 1, i, i);
		dedup_expect_as(guest, 0, i, i);
	}
	dedup_accounts_check(&guest, 1);
	client_destroy(guest);
}

/* At each cap: what was stored stays, the cap holds, and what is shared needs no room. */
static void test_caps(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_ALONE);
	uint64_t i, cap, base = stats_of(guest).charged;
	bool stored[24];

	(void)state;
	client_destroy(guest);
	for (cap = base; cap < base + 20; cap++) {
		guest = dedup_guest_create(cap, 0, TMEM_DEDUP_ALONE);
		for (i = 0; i < 24; i++) {
			int64_t ret = dedup_put_as(guest, 0, i, i % 6);

			assert_true(ret == 0 || ret == -TIDEPOOL_ENOMEM);
			stored[i] = ret == 0;
			ret = dedup_put_as(guest, 1, i, i % 5);
			assert_true(ret == 0 || ret == -TIDEPOOL_ENOMEM);
			assert_true(stats_of(guest).charged <= cap);
		}
		for (i = 0; i < 24; i++) {
			if (stored[i])
				dedup_expect_as(guest, 0, i, i % 6);
			else
				assert_int_equal(dedup_get_as(guest, 0, i), -TIDEPOOL_ENOENT);
		}
		dedup_accounts_check(&guest, 1);
		client_destroy(guest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_equal_pages_cost_one_frame, calls_setup,
						calls_teardown),
		cmocka_unit_test_setup_teardown(test_off, calls_setup, calls_teardown),
		cmocka_unit_test_setup_teardown(test_many_equal_pages, calls_setup, calls_teardown),
		cmocka_unit_test_setup_teardown(test_parting, calls_setup, calls_teardown),
		cmocka_unit_test_setup_teardown(test_replacing, calls_setup, calls_teardown),
		cmocka_unit_test_setup_teardown(test_equal_fingerprints, calls_setup,
						calls_teardown),
		cmocka_unit_test_setup_teardown(test_guest_writes_meanwhile, calls_setup,
						calls_teardown),
		cmocka_unit_test_setup_teardown(test_table_grows, calls_setup, calls_teardown),
		cmocka_unit_test_setup_teardown(test_caps, calls_setup, calls_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Guests whose equal pages share memory: whose they are, and what each of them is charged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/dedup_calls.h"
#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"

#include "tmem/frame.h"

#define GUESTS 3u

static void group_create(struct tmem_client **guests)
{
	unsigned int g;

	for (g = 0; g < GUESTS; g++)
		guests[g] = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_GROUP);
}

/* Each pays for what it has as if it were alone; who goes first does not matter. */
static void test_group(void **state)
{
	static const unsigned int orders[][GUESTS] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
	struct tmem_client *guests[GUESTS];
	unsigned int o, g, k;
	uint64_t i, charged;

	(void)state;
	for (o = 0; o < 3; o++) {
		group_create(guests);
		for (g = 0; g < GUESTS; g++)
			for (i = 0; i < 50; i++)
				assert_int_equal(dedup_put_as(guests[g], i % 2, i, i), 0);
		assert_int_equal(dedup_saved(), 50 * (GUESTS - 1));
		charged = stats_of(guests[0]).charged;
		for (g = 0; g < GUESTS; g++) {
			assert_int_equal(stats_of(guests[g]).charged, charged);
			assert_int_equal(stats_of(guests[g]).shared, 0);
		}
		dedup_accounts_check(guests, GUESTS);
		for (k = 0; k < GUESTS; k++) {
			client_destroy(guests[orders[o][k]]);
			for (g = k + 1; g < GUESTS; g++) {
				struct tmem_client *left = guests[orders[o][g]];

				assert_int_equal(stats_of(left).charged, charged);
				for (i = 0; i < 50; i += 2)
					dedup_expect_as(left, 0, i, i);
			}
		}
		assert_int_equal(dedup_saved(), 0);
	}
}

/* Writing, replacing and flushing are nobody else's business. */
static void test_group_parting(void **state)
{
	const struct tmem_span span = {.length = 8};
	struct tmem_client *guests[GUESTS];
	struct tmem_key key = key_at(0, 0);
	unsigned int g;

	(void)state;
	group_create(guests);
	for (g = 0; g < GUESTS; g++)
		assert_int_equal(dedup_put_as(guests[g], 0, 0, 7), 0);
	dedup_page[0] = 0xdead;
	assert_int_equal(tmem_write(guests[0], 0, &key, &span, dedup_page), 0);
	dedup_expect_as(guests[1], 0, 0, 7);
	assert_int_equal(dedup_put_as(guests[1], 0, 0, 8), 0);
	dedup_expect_as(guests[2], 0, 0, 7);
	assert_int_equal(dedup_get_as(guests[0], 0, 0), 0);
	assert_int_equal(dedup_page[0], 0xdead);
	assert_int_equal(dedup_saved(), 0);
	dedup_flush_as(guests[2], 0, 0);
	dedup_expect_as(guests[1], 0, 0, 8);
	dedup_accounts_check(guests, GUESTS);
	for (g = 0; g < GUESTS; g++)
		client_destroy(guests[g]);
}

/* Not with guests of another group, nor with those that are alone or have a reserve. */
static void test_group_members_only(void **state)
{
	struct tmem_client *guests[] = {
		dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_GROUP),
		dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_GROUP + 1),
		dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_ALONE),
		dedup_guest_create(UINT64_MAX, 100, TMEM_DEDUP_GROUP),
		dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_OFF),
		dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_GROUP + TMEM_DEDUP_GROUPS),
	};
	unsigned int g;

	(void)state;
	for (g = 0; g < 6; g++)
		assert_int_equal(dedup_put_as(guests[g], 0, 0, 7), 0);
	assert_int_equal(dedup_saved(), 0);
	for (g = 0; g < 6; g++)
		client_destroy(guests[g]);
}

/* At its cap a guest shares what others have, and neither's cap is passed by what the other does.
 */
static void test_group_caps(void **state)
{
	struct tmem_client *guests[2];
	uint64_t i, cap;

	(void)state;
	guests[0] = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_GROUP);
	cap = stats_of(guests[0]).charged + 30;
	guests[1] = dedup_guest_create(cap, 0, TMEM_DEDUP_GROUP);
	for (i = 0; i < 200; i++) {
		assert_int_equal(dedup_put_as(guests[0], 0, i, i % 100), 0);
		assert_int_equal(dedup_put_as(guests[1], 1, i, i % 100), 0);
		assert_true(stats_of(guests[1]).charged <= cap);
	}
	assert_true(dedup_saved() > 0);
	for (i = 0; i < 200; i++) {
		dedup_flush_as(guests[0], 0, i);
		assert_true(stats_of(guests[1]).charged <= cap);
	}
	dedup_accounts_check(guests, 2);
	client_destroy(guests[0]);
	dedup_accounts_check(&guests[1], 1);
	client_destroy(guests[1]);
}

/* ---- all of it ------------------------------------------------------------------------------- */

#define KEYS	 120u
#define CONTENTS 24u
#define CHURNERS 4u /* two of a group, one alone, one with nothing shared */

/* What each guest's keys hold; 0: nothing, for sure. */
static uint64_t held[CHURNERS][2][KEYS];

static uint64_t distinct(const uint64_t (*pools)[KEYS])
{
	bool seen[CONTENTS + 1] = {false};
	uint64_t pool, i, count = 0;

	for (pool = 0; pool < 2; pool++) {
		for (i = 0; i < KEYS; i++) {
			count += !seen[pools[pool][i]];
			seen[pools[pool][i]] = true;
		}
	}
	return count - seen[0];
}

static void churn(struct tmem_client *guest, uint64_t (*pools)[KEYS])
{
	const struct tmem_span whole = {.length = TMEM_PAGE_SIZE};
	uint64_t pool = model_random() % 2, i = model_random() % KEYS;
	uint64_t content = 1 + model_random() % CONTENTS, *is = &pools[pool][i];
	struct tmem_key key = key_at(i / 16, i % 16);

	switch (model_random() % 8) {
	case 0:
		assert_int_equal(tmem_flush_page(guest, pool, &key), *is != 0);
		*is = 0;
		break;
	case 1:
	case 2:
		if (!*is) {
			assert_int_equal(dedup_get_as(guest, pool, i), -TIDEPOOL_ENOENT);
			break;
		}
		dedup_expect_as(guest, pool, i, *is);
		if (pool == 1)
			*is = 0;
		break;
	case 3:
		if (!*is)
			break;
		/* Written in part it is no longer listed; so it is put again at once. */
		dedup_page_fill(content);
		assert_int_equal(tmem_exchange(guest, pool, &key, &whole, dedup_page), 0);
		content = content % CONTENTS + 1;
		/* fall through */
	default:
		assert_int_equal(dedup_put_as(guest, pool, i, content), 0);
		*is = content;
	}
}

/* After any calls a guest is charged for exactly the contents that it has. */
static void test_charges_are_exact(void **state)
{
	static const uint32_t dedup[CHURNERS] = {TMEM_DEDUP_GROUP, TMEM_DEDUP_GROUP,
						 TMEM_DEDUP_ALONE, TMEM_DEDUP_OFF};
	struct tmem_client *guests[CHURNERS];
	uint64_t base[CHURNERS], n;
	unsigned int g, pool, i;

	(void)state;
	model_random_seed(1);
	memset(held, 0, sizeof(held));
	for (g = 0; g < CHURNERS; g++) {
		guests[g] = dedup_guest_create(UINT64_MAX, 0, dedup[g]);
		/* All records that there will be, and a table: what is left is contents. */
		for (i = 0; i < KEYS; i++) {
			assert_int_equal(dedup_put_as(guests[g], 0, i, 1), 0);
			assert_int_equal(dedup_put_as(guests[g], 1, i, 1), 0);
			held[g][0][i] = held[g][1][i] = 1;
		}
		base[g] = stats_of(guests[g]).charged - (dedup[g] ? 1 : 2 * KEYS);
	}
	for (n = 0; n < 60000; n++) {
		g = (unsigned int)(model_random() % CHURNERS);
		churn(guests[g], held[g]);
		if (n % 100 != 0)
			continue;
		dedup_accounts_check(guests, CHURNERS);
	}
	/* As at first, but for the contents. */
	for (g = 0; g < CHURNERS; g++) {
		for (pool = 0; pool < 2; pool++) {
			for (i = 0; i < KEYS; i++) {
				if (held[g][pool][i])
					continue;
				held[g][pool][i] = 1 + model_random() % CONTENTS;
				assert_int_equal(dedup_put_as(guests[g], pool, i, held[g][pool][i]),
						 0);
			}
		}
		assert_int_equal(stats_of(guests[g]).charged,
				 base[g] + (dedup[g] ? distinct(held[g]) : 2 * KEYS));
		assert_int_equal(stats_of(guests[g]).shared,
				 dedup[g] ? 2 * KEYS - distinct(held[g]) : 0);
	}
	dedup_accounts_check(guests, CHURNERS);
	for (g = 0; g < CHURNERS; g++)
		client_destroy(guests[g]);
	assert_int_equal(dedup_saved(), 0);
}

/* A call whose outcome the store may choose, within the rules; @is: what the key holds, as far as
 * is known. */
static void churn_short(struct tmem_client *guest, uint64_t pool, uint64_t i, uint64_t *is)
{
	uint64_t content = 1 + model_random() % CONTENTS;
	struct tmem_key key = key_at(i / 16, i % 16);
	int64_t ret;

	switch (model_random() % 8) {
	case 0:
		ret = tmem_flush_page(guest, pool, &key);
		assert_true(ret == (*is != 0) || (pool == 1 && ret == 0));
		*is = 0;
		break;
	case 1:
	case 2:
		ret = dedup_get_as(guest, pool, i);
		if (ret == 0)
			assert_int_equal(dedup_page[1], *is * 1000 + 1);
		else
			assert_true(!*is || pool == 1);
		if (ret || pool == 1)
			*is = 0;
		break;
	default:
		ret = dedup_put_as(guest, pool, i, content);
		assert_true(ret == 0 || ret == -TIDEPOOL_ENOMEM ||
			    (ret == -TIDEPOOL_ENOSPC && *is));
		assert_false(ret == -TIDEPOOL_ENOMEM && *is && pool == 0);
		*is = ret ? 0 : content;
	}
}

/* With too little memory, which fails to come at any place: no page is wrong, no frame is lost. */
static void test_churn_under_pressure(void **state)
{
	static const uint32_t dedup[CHURNERS] = {TMEM_DEDUP_GROUP, TMEM_DEDUP_GROUP,
						 TMEM_DEDUP_ALONE, TMEM_DEDUP_OFF};
	struct tmem_client *guests[CHURNERS];
	uint64_t caps[CHURNERS], n;
	unsigned int g;

	(void)state;
	model_random_seed(2);
	memset(held, 0, sizeof(held));
	for (g = 0; g < CHURNERS; g++) {
		guests[g] = dedup_guest_create(UINT64_MAX, 0, dedup[g]);
		caps[g] = stats_of(guests[g]).charged + 6 + 6 * g;
		client_destroy(guests[g]);
		guests[g] = dedup_guest_create(caps[g], 0, dedup[g]);
	}
	model_host.limit = 1;
	model_host.fail_in = 2;
	for (n = 0; n < 100000; n++) {
		uint64_t pool = model_random() % 2, i = model_random() % KEYS;

		g = (unsigned int)(model_random() % CHURNERS);
		churn_short(guests[g], pool, i, &held[g][pool][i]);
		assert_true(stats_of(guests[g]).charged <= caps[g]);
		if (n % 100 == 0)
			dedup_accounts_check(guests, CHURNERS);
	}
	assert_true(dedup_saved() > 0);
	assert_true(stats_of(guests[0]).evicted > 0 && stats_of(guests[0]).refused > 0);
	for (g = 0; g < CHURNERS; g++)
		client_destroy(guests[g]);
	assert_int_equal(dedup_saved(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_group, calls_setup, calls_teardown),
		cmocka_unit_test_setup_teardown(test_group_parting, calls_setup, calls_teardown),
		cmocka_unit_test_setup_teardown(test_group_members_only, calls_setup,
						calls_teardown),
		cmocka_unit_test_setup_teardown(test_group_caps, calls_setup, calls_teardown),
		cmocka_unit_test_setup_teardown(test_charges_are_exact, calls_setup,
						calls_teardown),
		cmocka_unit_test_setup_teardown(test_churn_under_pressure, calls_setup,
						calls_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

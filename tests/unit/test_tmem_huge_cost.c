/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls about pages of 2 MiB end sooner where pages are compressed or decompressed for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"

#define PARTS	   512u
#define SIZE	   (PARTS * TMEM_PAGE_SIZE)
#define CALLS	   8u  /* that a put or a get takes where nothing is dear */
#define STEP	   4u  /* parts, within which no call ends */
#define GET_COST   24u /* in pages copied, behind which a call makes no more steps */
#define PUT_COST   0u
#define COMPRESS   8u
#define DECOMPRESS 3u
#define TRIES	   2u /* pages that a put compresses at most before it takes another way */

static char in[SIZE] __attribute__((aligned(TMEM_PAGE_SIZE)));
static char out[SIZE] __attribute__((aligned(TMEM_PAGE_SIZE)));

/* Parts of which no two are equal; an eighth of each is random: they become as small as that. */
static void fill(uint64_t seed)
{
	unsigned int part, i;

	memset(in, 0, sizeof(in));
	model_random_seed(seed);
	for (part = 0; part < PARTS; part++)
		for (i = 0; i < TMEM_PAGE_SIZE / 8; i += sizeof(uint64_t)) {
			uint64_t word = model_random();

			memcpy(in + part * TMEM_PAGE_SIZE + i, &word, sizeof(word));
		}
}

static void client_create(uint64_t cap)
{
	const struct tmem_limits limits = {.cap = cap, .compress = true};

	client_destroy(client);
	client = tmem_client_create(&limits);
	assert_non_null(client);
	assert_int_equal(pool_create(PERSISTENT | (uint64_t)TIDEPOOL_HUGE_ORDER
							  << TIDEPOOL_POOL_ORDER_SHIFT),
			 0);
}

/* Returns how many calls it took to put or get page @n, of which none may cost more than @most. */
static unsigned int all_calls(bool put, uint64_t n, uint64_t most)
{
	const uint64_t *counter = put ? &model_host.compressed : &model_host.decompressed;
	const uint64_t each = put ? COMPRESS : DECOMPRESS;
	const struct tmem_key key = key_at(1, n);
	unsigned int calls = 0;
	uint64_t cookie = 0;
	int64_t ret;

	do {
		uint64_t costs = tmem_costs(), count = *counter;

		ret = put ? tmem_huge_put(client, 0, &key, in, cookie)
			  : tmem_huge_get(client, 0, &key, out, cookie);
		cookie = (uint64_t)ret;
		assert_int_equal(tmem_costs() - costs, each * (*counter - count));
		assert_in_range(tmem_costs() - costs, 0, most);
		calls++;
	} while (ret > 0);
	assert_int_equal(ret, 0);
	return calls;
}

static unsigned int put_all(uint64_t n, uint64_t most)
{
	fill(n);
	return all_calls(true, n, most);
}

static unsigned int get_all(uint64_t n, uint64_t most)
{
	unsigned int calls = all_calls(false, n, most);

	fill(n);
	assert_memory_equal(in, out, SIZE);
	return calls;
}

/* With memory for all nothing is compressed, and a call does its whole share. */
static void test_with_room(void **state)
{
	(void)state;
	client_create(UINT64_MAX);
	assert_int_equal(put_all(1, 0), CALLS);
	assert_int_equal(get_all(1, 0), CALLS);
}

/* At the cap each part may have others compressed first. */
static void test_puts_at_the_cap(void **state)
{
	const uint64_t most = PUT_COST + STEP * TRIES * COMPRESS;
	unsigned int calls = 0;
	uint64_t n;

	(void)state;
	client_create(2 * PARTS + PARTS / 4);
	for (n = 1; n <= 3; n++)
		calls += put_all(n, most);
	assert_true(model_host.compressed > PARTS / 2);
	assert_in_range(calls, 4 * CALLS, 3 * PARTS / STEP);
	for (n = 1; n <= 3; n++)
		(void)get_all(n, GET_COST + STEP * DECOMPRESS);
}

static void test_gets_of_compressed_parts(void **state)
{
	(void)state;
	client_create(UINT64_MAX);
	assert_int_equal(put_all(1, 0), CALLS);
	while (tmem_idle_step(true))
		;
	assert_in_range(model_host.compressed, PARTS, PARTS + 1);
	assert_in_range(get_all(1, GET_COST + STEP * DECOMPRESS), 4 * CALLS, PARTS / STEP);
	assert_int_equal(model_host.decompressed, PARTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_with_room),
		STORE_TEST(test_puts_at_the_cap),
		STORE_TEST(test_gets_of_compressed_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

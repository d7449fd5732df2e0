/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages of 2 MiB: put, got and flushed in steps, and never seen but whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"

#define HUGE_ORDER (9ull << TIDEPOOL_POOL_ORDER_SHIFT)
#define SIZE	   (2u << 20)
#define WORDS	   (SIZE / sizeof(uint64_t))
#define PARTS	   512u
#define STEPS	   8u

static uint64_t in[WORDS] __attribute__((aligned(4096)));
static uint64_t out[WORDS] __attribute__((aligned(4096)));

/* Each word tells page and place; one part in eight is filled and takes no frame. */
static uint64_t word_at(uint64_t seed, uint64_t n)
{
	return n / 512 % 8 == 3 ? (uint32_t)seed * 0x100000001ull : seed << 32 | n;
}

static void fill(uint64_t *page, uint64_t seed)
{
	uint64_t n;

	for (n = 0; n < WORDS; n++)
		page[n] = word_at(seed, n);
}

static bool holds(const uint64_t *page, uint64_t seed)
{
	uint64_t n;

	for (n = 0; n < WORDS && page[n] == word_at(seed, n); n++)
		;
	return n == WORDS;
}

/* Repeat a put until it has an end. Returns that. */
static int64_t put_end(uint64_t pool, uint64_t index, const void *data, int64_t ret,
		       uint64_t cookie)
{
	struct tmem_key key = key_at(1, index);
	unsigned int calls = 0;

	while (ret > 0 || ret == -TIDEPOOL_EAGAIN) {
		if (ret > 0)
			cookie = (uint64_t)ret;
		ret = tmem_huge_put(client, pool, &key, data, cookie);
		assert_true(calls++ < 4 * STEPS);
	}
	return ret;
}

static int64_t huge_put(uint64_t pool, uint64_t index, uint64_t seed)
{
	fill(in, seed);
	return put_end(pool, index, in, -TIDEPOOL_EAGAIN, 0);
}

static int64_t get_end(uint64_t pool, uint64_t index, int64_t ret, uint64_t cookie)
{
	struct tmem_key key = key_at(1, index);
	unsigned int calls = 0;

	while (ret > 0 || ret == -TIDEPOOL_EAGAIN) {
		if (ret > 0)
			cookie = (uint64_t)ret;
		ret = tmem_huge_get(client, pool, &key, out, cookie);
		assert_true(calls++ < 4 * STEPS);
	}
	return ret;
}

/* Returns the error, or the seed of the page, which is whole. */
static int64_t huge_get(uint64_t pool, uint64_t index)
{
	int64_t ret = get_end(pool, index, -TIDEPOOL_EAGAIN, 0);
	uint64_t seed = out[0] >> 32;

	if (ret < 0)
		return ret;
	assert_true(holds(out, seed));
	return (int64_t)seed;
}

static int64_t huge_flush(uint64_t pool, uint64_t index)
{
	struct tmem_key key = key_at(1, index);
	int64_t ret;

	do
		ret = tmem_huge_flush(client, pool, &key);
	while (ret == -TIDEPOOL_EAGAIN);
	return ret;
}

static void test_persistent(void **state)
{
	(void)state;
	assert_int_equal(pool_create(PERSISTENT | HUGE_ORDER), 0);
	assert_true(tmem_pool_is_huge(client, 0));
	assert_int_equal(huge_get(0, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(huge_put(0, 1, 10), 0);
	assert_int_equal(huge_put(0, 2, 20), 0);
	assert_int_equal(huge_get(0, 1), 10);
	assert_int_equal(huge_get(0, 1), 10);
	assert_int_equal(huge_put(0, 1, 11), 0);
	assert_int_equal(huge_get(0, 1), 11);
	assert_int_equal(huge_flush(0, 1), 1);
	assert_int_equal(huge_flush(0, 1), 0);
	assert_int_equal(huge_get(0, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(huge_get(0, 2), 20);
	assert_int_equal(stats_of(client).puts, 3);
	assert_int_equal(stats_of(client).gets, 4);
	assert_int_equal(stats_of(client).held, PARTS + 1);
	while (flush_object(0, 1) == -TIDEPOOL_EAGAIN)
		;
	assert_int_equal(huge_get(0, 2), -TIDEPOOL_ENOENT);
	assert_int_equal(stats_of(client).held, 0);
}

static void test_ephemeral(void **state)
{
	(void)state;
	assert_int_equal(pool_create(EPHEMERAL | HUGE_ORDER), 0);
	assert_int_equal(huge_put(0, 1, 10), 0);
	assert_int_equal(huge_put(0, 1, 11), 0);
	assert_int_equal(huge_get(0, 1), 11);
	assert_int_equal(huge_get(0, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(stats_of(client).held, 0);
	assert_int_equal(huge_put(0, 1, 12), 0);
	assert_int_equal(huge_flush(0, 1), 1);
	assert_int_equal(huge_get(0, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(stats_of(client).held, 0);
}

/* No call copies more than a step, and what is under construction is seen by nobody. */
static void test_steps(void **state)
{
	struct tmem_key key = key_at(1, 1);
	uint64_t copies = model_host.copies;
	int64_t first, second;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT | HUGE_ORDER), 0);
	assert_int_equal(huge_put(0, 1, 10), 0);
	assert_true(model_host.copies - copies <= PARTS);
	fill(in, 11);
	for (first = -TIDEPOOL_EAGAIN; first == -TIDEPOOL_EAGAIN;) {
		copies = model_host.copies;
		first = tmem_huge_put(client, 0, &key, in, 0);
		assert_true(model_host.copies - copies <= PARTS / STEPS);
		assert_int_equal(huge_get(0, 1), -TIDEPOOL_ENOENT);
	}
	assert_true(first > 0);
	/* Another one begins: the first is refused, the second goes on. */
	fill(in, 12);
	for (second = -TIDEPOOL_EAGAIN; second == -TIDEPOOL_EAGAIN;)
		second = tmem_huge_put(client, 0, &key, in, 0);
	assert_int_equal(put_end(0, 1, in, first, 0), -TIDEPOOL_ENOSPC);
	assert_int_equal(put_end(0, 1, in, second, 0), 0);
	assert_int_equal(huge_get(0, 1), 12);
	/* A flush ends a construction, too, and counts no page. */
	for (first = -TIDEPOOL_EAGAIN; first == -TIDEPOOL_EAGAIN;)
		first = tmem_huge_put(client, 0, &key, in, 0);
	assert_int_equal(huge_flush(0, 1), 0);
	assert_int_equal(put_end(0, 1, in, first, 0), -TIDEPOOL_ENOSPC);
	assert_int_equal(stats_of(client).held, 0);
}

/* A get whose page is replaced, or flushed, between two steps. */
static void test_get_meanwhile(void **state)
{
	struct tmem_key key = key_at(1, 1);
	int64_t cookie;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT | HUGE_ORDER), 0);
	assert_int_equal(pool_create(EPHEMERAL | HUGE_ORDER), 1);
	assert_int_equal(huge_put(0, 1, 10), 0);
	cookie = tmem_huge_get(client, 0, &key, out, 0);
	assert_true(cookie > 0);
	assert_int_equal(huge_put(0, 1, 11), 0);
	assert_int_equal(get_end(0, 1, cookie, 0), 0);
	assert_true(holds(out, 11));
	cookie = tmem_huge_get(client, 0, &key, out, 0);
	assert_int_equal(huge_flush(0, 1), 1);
	assert_int_equal(get_end(0, 1, cookie, 0), -TIDEPOOL_ENOENT);

	/* Whoever begins to get an ephemeral page has it to himself. */
	assert_int_equal(huge_put(1, 1, 20), 0);
	cookie = tmem_huge_get(client, 1, &key, out, 0);
	assert_true(cookie > 0);
	assert_int_equal(tmem_huge_get(client, 1, &key, in, 0), -TIDEPOOL_ENOENT);
	assert_int_equal(get_end(1, 1, cookie, 0), 0);
	assert_true(holds(out, 20));
	assert_int_equal(get_end(1, 1, cookie, 0), -TIDEPOOL_ENOENT);
	/* One that was not got to the end is in nobody's way. */
	assert_int_equal(huge_put(1, 1, 21), 0);
	assert_true(tmem_huge_get(client, 1, &key, out, 0) > 0);
	assert_int_equal(huge_put(1, 1, 22), 0);
	assert_int_equal(huge_get(1, 1), 22);
	assert_int_equal(stats_of(client).held, 0);
}

/* A refused put leaves nothing, neither of the old page nor of itself. */
static void test_refusal(void **state)
{
	uint64_t cap, charged;

	(void)state;
	for (cap = 5; cap < 700; cap += 37) {
		client_cap(cap);
		assert_int_equal(pool_create(PERSISTENT | HUGE_ORDER), 0);
		charged = stats_of(client).charged;
		if (huge_put(0, 1, 10) == 0) {
			assert_int_equal(huge_put(0, 2, 20), -TIDEPOOL_ENOSPC);
			assert_int_equal(huge_put(0, 1, 11), 0);
			assert_int_equal(huge_get(0, 1), 11);
			assert_int_equal(huge_flush(0, 1), 1);
		}
		assert_int_equal(huge_get(0, 1), -TIDEPOOL_ENOENT);
		assert_int_equal(huge_get(0, 2), -TIDEPOOL_ENOENT);
		assert_int_equal(stats_of(client).held, 0);
		assert_true(stats_of(client).charged <= charged + 6); /* the index stays */
	}
}

static void test_zeroes(void **state)
{
	uint64_t charged;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT | HUGE_ORDER), 0);
	charged = stats_of(client).charged;
	assert_int_equal(put_end(0, 1, NULL, -TIDEPOOL_EAGAIN, 0), 0);
	assert_true(stats_of(client).charged < charged + 20);
	memset(out, 0xee, SIZE);
	assert_int_equal(get_end(0, 1, -TIDEPOOL_EAGAIN, 0), 0);
	assert_int_equal(out[0], 0);
	assert_memory_equal(out, out + 1, SIZE - sizeof(out[0]));
}

/* An ephemeral page vanishes whole, whichever part of it is evicted. */
static void test_eviction(void **state)
{
	int64_t first, second;

	(void)state;
	client_cap(800);
	assert_int_equal(pool_create(EPHEMERAL | HUGE_ORDER), 0);
	assert_int_equal(pool_create(EPHEMERAL), 1);
	assert_int_equal(huge_put(0, 1, 10), 0);
	assert_int_equal(huge_put(0, 2, 20), 0);
	/* There is no room for both. */
	first = huge_get(0, 1);
	second = huge_get(0, 2);
	assert_true(first == -TIDEPOOL_ENOENT || first == 10);
	assert_true(second == -TIDEPOOL_ENOENT || second == 20);
	assert_true(first < 0 || second < 0);
	assert_int_equal(huge_put(0, 3, 30), 0);
	while (stats_of(client).evicted < 1000)
		assert_int_equal(put(1, 1, stats_of(client).puts, 'x'), 0);
	assert_int_equal(huge_get(0, 3), -TIDEPOOL_ENOENT);
	/* One that is larger than all that the client may have. */
	client_cap(300);
	assert_int_equal(pool_create(EPHEMERAL | HUGE_ORDER), 0);
	(void)huge_put(0, 1, 10);
	assert_int_equal(huge_get(0, 1), -TIDEPOOL_ENOENT);
}

static void test_frozen(void **state)
{
	struct tmem_key key = key_at(1, 3);
	int64_t cookie;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT | HUGE_ORDER), 0);
	assert_int_equal(huge_put(0, 1, 10), 0);
	assert_int_equal(huge_put(0, 2, 20), 0);
	cookie = tmem_huge_put(client, 0, &key, in, 0);
	tmem_client_freeze(client, TMEM_FREEZE_OPERATOR);
	assert_int_equal(put_end(0, 3, in, cookie, 0), -TIDEPOOL_ENOSPC);
	assert_int_equal(huge_put(0, 4, 40), -TIDEPOOL_EFROZEN);
	assert_int_equal(huge_put(0, 1, 11), -TIDEPOOL_ENOSPC);
	assert_int_equal(huge_get(0, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(huge_put(0, 1, 11), -TIDEPOOL_EFROZEN);
	assert_int_equal(huge_get(0, 2), 20);
	assert_int_equal(huge_flush(0, 2), 1);
	assert_int_equal(stats_of(client).held, 0);
	tmem_client_thaw(client, TMEM_FREEZE_OPERATOR);
}

static void test_bad_calls(void **state)
{
	struct tmem_key key = key_at(1, 1), high = key_at(1, 1ull << 34);
	struct tmem_get get_one = {.pool = 0, .key = key, .page = out};
	const struct tmem_span span = {.length = 1};

	(void)state;
	assert_int_equal(pool_create(PERSISTENT | 1ull << TIDEPOOL_POOL_ORDER_SHIFT),
			 -TIDEPOOL_EINVAL);
	assert_int_equal(pool_create(PERSISTENT | HUGE_ORDER), 0);
	assert_int_equal(pool_create(PERSISTENT), 1);
	assert_false(tmem_pool_is_huge(client, 1));
	assert_false(tmem_pool_is_huge(client, 2));
	assert_false(tmem_pool_is_huge(client, TIDEPOOL_MAX_POOLS));
	assert_int_equal(put(0, 1, 1, 'x'), -TIDEPOOL_EINVAL);
	assert_int_equal(get(0, 1, 1), -TIDEPOOL_EINVAL);
	assert_int_equal(flush(0, 1, 1), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_read(client, 0, &key, &span, out), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_write(client, 0, &key, &span, out), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_exchange(client, 0, &key, &span, out), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_flush_range(client, 0, key.oid, 0, 10), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_get_all(client, &get_one, 1), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_put(client, 1, &key, in, 0), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_get(client, 1, &key, in, 0), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_flush(client, 1, &key), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_read(client, 1, &key, &span, out), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_write(client, 1, &key, &span, out), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_exchange(client, 1, &key, &span, out), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_flush_range(client, 1, key.oid, 0, 1), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_flush_range(client, 2, key.oid, 0, 1), -TIDEPOOL_ENODEV);
	assert_int_equal(tmem_huge_flush_range(client, 0, key.oid, 1, 0), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_flush_range(client, 0, key.oid, 1ull << 34, 1),
			 -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_flush_range(client, 0, key.oid, 1, 1ull << 34),
			 -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_put(client, 2, &key, in, 0), -TIDEPOOL_ENODEV);
	assert_int_equal(tmem_huge_put(client, 0, &high, in, 0), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_get(client, 0, &high, in, 0), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_flush(client, 0, &high), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_put(client, 0, &key, in, 1), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_get(client, 0, &key, in, UINT64_MAX), -TIDEPOOL_EINVAL);
	assert_int_equal(tmem_huge_put(client, 0, &key, in, 1ull << 62), -TIDEPOOL_ENOSPC);
	assert_int_equal(tmem_huge_get(client, 0, &key, in, 1ull << 62), -TIDEPOOL_ENOENT);
	assert_int_equal(stats_of(client).held, 0);
	high.index--;
	assert_int_equal(tmem_huge_get(client, 0, &high, in, 0), -TIDEPOOL_ENOENT);
	/* The same number, for pages of the other size. */
	assert_int_equal(tmem_pool_destroy(client, 0), 0);
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(put(0, 1, 1, 'x'), 0);
}

/* A part is read, written and exchanged in one call, and no other byte of the page changes. */
static void test_parts(void **state)
{
	const struct tmem_span some = {.length = 24, .offset = 40, .at = 80, .part = 300};
	const uint64_t n = 300 * 512 + 40 / 8;
	struct tmem_key key = key_at(1, 1);
	uint64_t page[512] __attribute__((aligned(4096))), pool;
	int64_t cookie;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT | HUGE_ORDER), 0);
	assert_int_equal(pool_create(EPHEMERAL | HUGE_ORDER), 1);
	for (pool = 0; pool < 2; pool++) {
		uint64_t gets = stats_of(client).gets, puts = stats_of(client).puts;

		memset(page, 0xee, sizeof(page));
		assert_int_equal(tmem_huge_read(client, pool, &key, &some, page), -TIDEPOOL_ENOENT);
		assert_int_equal(tmem_huge_write(client, pool, &key, &some, page),
				 -TIDEPOOL_ENOENT);
		assert_int_equal(tmem_huge_exchange(client, pool, &key, &some, page),
				 -TIDEPOOL_ENOENT);
		assert_int_equal(stats_of(client).held, pool * (PARTS + 1));
		assert_int_equal(huge_put(pool, 1, 10 + pool), 0);
		assert_int_equal(tmem_huge_read(client, pool, &key, &some, page), 0);
		assert_int_equal(page[10], word_at(10 + pool, n));
		assert_int_equal(page[13], 0xeeeeeeeeeeeeeeee);
		page[10] = 1;
		assert_int_equal(tmem_huge_exchange(client, pool, &key, &some, page), 0);
		assert_int_equal(page[10], word_at(10 + pool, n));
		assert_int_equal(tmem_huge_write(client, pool, &key, &some, page), 0);
		page[11] = 7;
		assert_int_equal(tmem_huge_exchange(client, pool, &key, &some, page), 0);
		assert_int_equal(stats_of(client).gets, gets + 3);
		assert_int_equal(stats_of(client).puts, puts + 4);
		assert_int_equal(get_end(pool, 1, -TIDEPOOL_EAGAIN, 0), 0);
		assert_int_equal(out[n + 1], 7);
		out[n + 1] = word_at(10 + pool, n + 1);
		assert_true(holds(out, 10 + pool));
	}
	/* One that is being put is not there. */
	cookie = tmem_huge_put(client, 1, &key, in, 0);
	assert_int_equal(tmem_huge_read(client, 1, &key, &some, page), -TIDEPOOL_ENOENT);
	assert_int_equal(put_end(1, 1, in, cookie, 0), 0);
	tmem_client_freeze(client, TMEM_FREEZE_OPERATOR);
	assert_int_equal(tmem_huge_write(client, 0, &key, &some, page), -TIDEPOOL_EFROZEN);
	assert_int_equal(tmem_huge_exchange(client, 0, &key, &some, page), -TIDEPOOL_EFROZEN);
	tmem_client_thaw(client, TMEM_FREEZE_OPERATOR);
}

/* A filled part needs a frame when it is changed; without one nothing is. */
static void test_parts_no_room(void **state)
{
	struct tmem_span span = {.length = 8};
	struct tmem_key key = key_at(1, 1);
	uint64_t page[512] __attribute__((aligned(4096)));
	int64_t ret = 0;

	(void)state;
	client_cap(60);
	assert_int_equal(pool_create(PERSISTENT | HUGE_ORDER), 0);
	assert_int_equal(put_end(0, 1, NULL, -TIDEPOOL_EAGAIN, 0), 0);
	for (; ret == 0; span.part++) {
		page[0] = span.part + 1;
		ret = tmem_huge_write(client, 0, &key, &span, page);
	}
	assert_int_equal(ret, -TIDEPOOL_ENOMEM);
	assert_in_range(span.part, 10, 60);
	assert_int_equal(tmem_huge_exchange(client, 0, &key, &span, page), -TIDEPOOL_ENOMEM);
	assert_int_equal(page[0], span.part);
	for (span.part -= 2;; span.part--) {
		assert_int_equal(tmem_huge_read(client, 0, &key, &span, page), 0);
		assert_int_equal(page[0], span.part + 1);
		if (span.part == 0)
			break;
	}
}

/* Once a part that was evicted has been missed, none of the page is there. */
static void test_parts_evicted(void **state)
{
	struct tmem_span span = {.length = 8};
	struct tmem_key key = key_at(1, 1);
	uint64_t page[512] __attribute__((aligned(4096)));
	unsigned int missed = 0, round;

	(void)state;
	for (round = 0; round < 8; round++) {
		client_cap(800);
		assert_int_equal(pool_create(EPHEMERAL | HUGE_ORDER), 0);
		assert_int_equal(pool_create(EPHEMERAL), 1);
		assert_int_equal(huge_put(0, 1, 10), 0);
		while (stats_of(client).evicted <= round)
			assert_int_equal(put(1, 1, stats_of(client).puts, 'x'), 0);
		for (span.part = 0; span.part < PARTS; span.part++)
			if (tmem_huge_read(client, 0, &key, &span, page))
				break;
		if (span.part == PARTS)
			continue;
		missed++;
		for (span.part = 0; span.part < PARTS; span.part++)
			assert_int_equal(tmem_huge_read(client, 0, &key, &span, page),
					 -TIDEPOOL_ENOENT);
		assert_int_equal(huge_get(0, 1), -TIDEPOOL_ENOENT);
	}
	assert_true(missed > 0);
}

/* Returns how many calls all of a range takes. */
static unsigned int range_flush(uint64_t first, uint64_t count)
{
	const uint64_t oid[3] = {1, 0, 0};
	unsigned int calls = 0;

	while (count > 0) {
		int64_t ret = tmem_huge_flush_range(client, 0, oid, first, count);

		calls++;
		if (ret == -TIDEPOOL_EAGAIN)
			continue;
		assert_true(ret > 0 && (uint64_t)ret <= count);
		first += (uint64_t)ret;
		count -= (uint64_t)ret;
	}
	return calls;
}

static void test_range(void **state)
{
	const uint64_t oid[3] = {1, 0, 0};
	uint64_t flushed;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT | HUGE_ORDER), 0);
	assert_int_equal(range_flush(0, 1ull << 34), 1);
	assert_int_equal(huge_put(0, 1, 10) + huge_put(0, 2, 20), 0);
	assert_int_equal(huge_put(0, 700, 30), 0);
	/* The first call lets the page go; the others give its memory back, a step each. */
	flushed = stats_of(client).flushed;
	assert_int_equal(tmem_huge_flush_range(client, 0, oid, 2, 2), -TIDEPOOL_EAGAIN);
	assert_in_range(stats_of(client).flushed - flushed, 1, PARTS / STEPS);
	assert_int_equal(range_flush(2, 2), STEPS);
	assert_int_equal(stats_of(client).held, 2 * (PARTS + 1));
	assert_int_equal(huge_get(0, 1), 10);
	assert_in_range(range_flush(0, 1000), STEPS + 5, 2 * STEPS + 10);
	assert_int_equal(huge_get(0, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(stats_of(client).held, 0);
}

#define CALLS 120u

/*
 * Put, write, exchange or read a part of a page that nobody gets whole. Returns whether what was
 * read is one page's, or one call's.
 */
static bool part_call(uint64_t *page, uint64_t pool, uint64_t i)
{
	const struct tmem_span span = {.length = TMEM_PAGE_SIZE, .part = 5};
	struct tmem_key key = key_at(1, 2);
	uint64_t *part = page + span.part * 512, n;
	int64_t ret;

	fill(page, i + 1);
	if (i % 8 == 0) {
		uint64_t cookie = 0;

		do {
			ret = tmem_huge_put(client, pool, &key, page, cookie);
			if (ret > 0)
				cookie = (uint64_t)ret;
		} while (ret > 0 || ret == -TIDEPOOL_EAGAIN);
		return true;
	}
	if (i % 3 == 0)
		return tmem_huge_write(client, pool, &key, &span, part) != -TIDEPOOL_ENOMEM;
	ret = i % 3 == 1 ? tmem_huge_exchange(client, pool, &key, &span, part)
			 : tmem_huge_read(client, pool, &key, &span, part);
	for (n = 0; n < 512 && ret == 0; n++)
		if (part[n] != word_at(part[0] >> 32, span.part * 512 + n))
			return false;
	return true;
}

/* Two CPUs on the same few keys: whatever is got is whole. */
static void *calls_run(void *argument)
{
	uint64_t *page = aligned_alloc(4096, SIZE), i;
	void *failed = page ? NULL : argument;

	for (i = 0; i < CALLS && !failed; i++) {
		uint64_t cookie = 0, pool = i / 2 % 2;
		struct tmem_key key = key_at(1, i % 2);
		bool puts = i % 3 == 0;
		int64_t ret;

		if (puts)
			fill(page, ((uintptr_t)argument << 16) + i);
		do {
			ret = puts ? tmem_huge_put(client, pool, &key, page, cookie)
				   : tmem_huge_get(client, pool, &key, page, cookie);
			if (ret > 0)
				cookie = (uint64_t)ret;
		} while (ret > 0 || ret == -TIDEPOOL_EAGAIN);
		if (!puts && ret == 0 && !holds(page, page[0] >> 32))
			failed = argument;
		if (!part_call(page, pool, i))
			failed = argument;
		if (i % 17 == 0)
			(void)tmem_huge_flush(client, pool, &key);
		if (i % 29 == 0)
			(void)tmem_flush_object(client, pool, key.oid);
	}
	free(page);
	return failed;
}

static void test_two_cpus(void **state)
{
	pthread_t threads[2];
	void *failed[2];
	uintptr_t i;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT | HUGE_ORDER), 0);
	assert_int_equal(pool_create(EPHEMERAL | HUGE_ORDER), 1);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, calls_run, (void *)(i + 1)), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &failed[i]), 0);
		assert_null(failed[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_persistent), STORE_TEST(test_ephemeral),
		STORE_TEST(test_steps),	     STORE_TEST(test_get_meanwhile),
		STORE_TEST(test_refusal),    STORE_TEST(test_zeroes),
		STORE_TEST(test_eviction),   STORE_TEST(test_frozen),
		STORE_TEST(test_bad_calls),  STORE_TEST(test_two_cpus),
		STORE_TEST(test_parts),	     STORE_TEST(test_parts_no_room),
		STORE_TEST(test_range),	     STORE_TEST(test_parts_evicted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

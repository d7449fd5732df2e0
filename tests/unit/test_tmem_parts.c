/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of pages, and parts of objects: sub-page reads, writes and exchanges; ranges of indices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"
#include "tmem/client.h"

static unsigned char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));

static void test_spans(void **state)
{
	static const struct {
		uint64_t word;
		bool valid;
	} cases[] = {
		{TIDEPOOL_SPAN(1, 0, 0), true},
		{TIDEPOOL_SPAN(4096, 0, 0), true},
		{TIDEPOOL_SPAN(1, 4095, 4095), true},
		{TIDEPOOL_SPAN(4095, 1, 1), true},
		{0, false},
		{TIDEPOOL_SPAN(0, 1, 1), false},
		{TIDEPOOL_SPAN(4097, 0, 0), false},
		{TIDEPOOL_SPAN(4096, 1, 0), false},
		{TIDEPOOL_SPAN(4096, 0, 1), false},
		{TIDEPOOL_SPAN(1, 4096, 0), false},
		{TIDEPOOL_SPAN(1, 0, 4096), false},
		{TIDEPOOL_SPAN(0xffff, 0xffff, 0xffff), false},
		{TIDEPOOL_SPAN(1, 0xffff, 0), false},
		{TIDEPOOL_SPAN(1, 0, 0) | 1ull << 48, false},
		{TIDEPOOL_SPAN(1, 0, 0) | 1ull << 63, false},
		{UINT64_MAX, false},
	};
	struct tmem_span span;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(tmem_span_parse(cases[i].word, false, &span), cases[i].valid);
	assert_true(tmem_span_parse(TIDEPOOL_SPAN(3, 5, 7), true, &span));
	assert_int_equal(span.part, 0);
	assert_true(tmem_span_parse(TIDEPOOL_HUGE_SPAN(511, 3, 5, 7), true, &span));
	assert_int_equal(span.part, 511);
	assert_false(tmem_span_parse(TIDEPOOL_HUGE_SPAN(511, 3, 5, 7), false, &span));
	assert_false(tmem_span_parse(TIDEPOOL_HUGE_SPAN(512, 3, 5, 7), true, &span));
	assert_false(tmem_span_parse(TIDEPOOL_HUGE_SPAN(0xffff, 3, 5, 7), true, &span));
	assert_int_equal(span.length, 3);
	assert_int_equal(span.offset, 5);
	assert_int_equal(span.at, 7);
}

/* The host's memory is full of garbage here: bytes that nobody wrote are zero all the same. */
static void test_unwritten_bytes_are_zero(void **state)
{
	const struct tmem_span span = {.length = 3, .offset = 100, .at = 4093};
	struct tmem_key key = key_at(1, 1), fresh = key_at(1, 2);
	unsigned int i;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	memset(page, 0xaa, sizeof(page));
	assert_int_equal(tmem_write(client, 0, &key, &span, page), 0);
	assert_int_equal(tmem_get(client, 0, &key, page), 0);
	for (i = 0; i < TMEM_PAGE_SIZE; i++)
		assert_int_equal(page[i], i >= 100 && i < 103 ? 0xaa : 0);

	assert_int_equal(put(0, 1, 2, 'a'), 0);
	assert_int_equal(tmem_new_page(client, 0, &fresh), 0);
	memset(page, 0xaa, sizeof(page));
	assert_int_equal(tmem_get(client, 0, &fresh, page), 0);
	for (i = 0; i < TMEM_PAGE_SIZE; i++)
		assert_int_equal(page[i], 0);
	assert_int_equal(tmem_new_page(client, 1, &fresh), -TIDEPOOL_ENODEV);
}

static void test_read_keeps(void **state)
{
	const struct tmem_span span = {.length = 2, .offset = 10, .at = 20};
	struct tmem_key key = key_at(1, 1);

	(void)state;
	assert_int_equal(pool_create(EPHEMERAL), 0);
	assert_int_equal(tmem_read(client, 0, &key, &span, page), -TIDEPOOL_ENOENT);
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	memset(page, 0, sizeof(page));
	assert_int_equal(tmem_read(client, 0, &key, &span, page), 0);
	assert_memory_equal(page + 19, "\0aa", 4);
	assert_int_equal(get(0, 1, 1), 'a');
	assert_int_equal(tmem_read(client, 1, &key, &span, page), -TIDEPOOL_ENODEV);
	assert_int_equal(tmem_write(client, 1, &key, &span, page), -TIDEPOOL_ENODEV);
	assert_int_equal(tmem_exchange(client, 1, &key, &span, page), -TIDEPOOL_ENODEV);
}

/* Lengths around the buffer that an exchange goes through. */
static void test_exchange(void **state)
{
	static const uint32_t lengths[] = {1, 63, 64, 65, 128, 1000};
	struct tmem_key key = key_at(1, 1);
	size_t i;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct tmem_span span = {.length = lengths[i], .offset = 7, .at = 9};
		uint32_t n;

		assert_int_equal(put(0, 1, 1, 'a'), 0);
		memset(page, 'b', sizeof(page));
		assert_int_equal(tmem_exchange(client, 0, &key, &span, page), 0);
		for (n = 0; n < 1100; n++)
			assert_int_equal(page[n], n >= 9 && n < 9 + lengths[i] ? 'a' : 'b');
		assert_int_equal(tmem_get(client, 0, &key, page), 0);
		for (n = 0; n < 1100; n++)
			assert_int_equal(page[n], n >= 7 && n < 7 + lengths[i] ? 'b' : 'a');
	}
}

/* Without a frame for it, a write drops the page it would change; an exchange changes nothing. */
static void test_no_memory(void **state)
{
	const struct tmem_span span = {.length = 1};
	struct tmem_key zero = key_at(1, 1), other = key_at(1, 2);

	(void)state;
	client_cap(BASE_FRAMES + 1);
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(tmem_new_page(client, 0, &zero), 0);
	assert_int_equal(put(0, 2, 2, 'a'), 0);
	page[0] = 'x';
	assert_int_equal(tmem_exchange(client, 0, &zero, &span, page), -TIDEPOOL_ENOMEM);
	assert_int_equal(page[0], 'x');
	assert_int_equal(tmem_read(client, 0, &zero, &span, page), 0);
	assert_int_equal(page[0], 0);
	assert_int_equal(tmem_write(client, 0, &zero, &span, page), -TIDEPOOL_ENOSPC);
	assert_int_equal(tmem_get(client, 0, &zero, page), -TIDEPOOL_ENOENT);
	assert_int_equal(tmem_write(client, 0, &other, &span, page), -TIDEPOOL_ENOMEM);
	assert_int_equal(tmem_get(client, 0, &other, page), -TIDEPOOL_ENOENT);
	assert_int_equal(stats_of(client).refused, 3);
	assert_int_equal(stats_of(client).held, 1);
	assert_int_equal(get(0, 2, 2), 'a');
}

/* The object that starts with word 1. */
static int64_t range(uint64_t first, uint64_t count)
{
	const uint64_t oid[3] = {1, 0, 0};

	return tmem_flush_range(client, 0, oid, first, count);
}

static void test_range_arguments(void **state)
{
	(void)state;
	assert_int_equal(range(0, 1), -TIDEPOOL_ENODEV);
	assert_int_equal(range(0, 1000), -TIDEPOOL_ENODEV);
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(range(0, 0), -TIDEPOOL_EINVAL);
	assert_int_equal(range(0, 1ull << 63), -TIDEPOOL_EINVAL);
	assert_int_equal(range(0, UINT64_MAX), -TIDEPOOL_EINVAL);
	assert_int_equal(range(UINT64_MAX, 2), -TIDEPOOL_EINVAL);
	assert_int_equal(range(UINT64_MAX, 1), 1);
	assert_int_equal(range(UINT64_MAX - 999, 1000), 1000);
	assert_int_equal(range(0, INT64_MAX), INT64_MAX);
	assert_int_equal(range(1ull << 63, INT64_MAX), INT64_MAX);
}

/* A big object goes index by index, a small one as a whole; never more than a step's pages. */
static void test_range_in_steps(void **state)
{
	const uint64_t pages = 10 * TMEM_STEP;
	uint64_t first = 100, left = pages, i;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < pages; i++) {
		assert_int_equal(put(0, 1, i, 'a'), 0);
		assert_int_equal(put(0, 2, i, 'b'), 0);
	}
	while (left > 0) {
		uint64_t held = stats_of(client).held;
		int64_t ret = range(first, left);

		assert_true(ret > 0 && (uint64_t)ret <= left);
		assert_true(held - stats_of(client).held <= TMEM_STEP);
		first += (uint64_t)ret;
		left -= (uint64_t)ret;
	}
	for (i = 0; i < pages; i++) {
		assert_int_equal(get(0, 1, i), i < 100 ? 'a' : -TIDEPOOL_ENOENT);
		assert_int_equal(get(0, 2, i), 'b');
	}
	assert_int_equal(stats_of(client).flushed, pages - 100);
	/* What is left is small: one call does for all indices there are. */
	assert_int_equal(range(50, INT64_MAX), INT64_MAX);
	assert_int_equal(stats_of(client).flushed, pages - 50);
	assert_int_equal(get(0, 1, 49), 'a');
	assert_int_equal(get(0, 1, 50), -TIDEPOOL_ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spans),	 STORE_TEST(test_unwritten_bytes_are_zero),
		STORE_TEST(test_read_keeps),	 STORE_TEST(test_exchange),
		STORE_TEST(test_no_memory),	 STORE_TEST(test_range_arguments),
		STORE_TEST(test_range_in_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

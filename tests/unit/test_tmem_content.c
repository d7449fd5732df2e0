/* SPDX-License-Identifier: BSD-2-Clause */
/* What pages hold: data in frames, and pages of one repeated word that cost none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"
#include "tmem/content.h"
#include "tmem/index.h"
#include "tmem/page.h"

#define WORDS (TMEM_PAGE_SIZE / sizeof(uint32_t))

static uint32_t page[WORDS] __attribute__((aligned(4096)));

static void page_fill(uint32_t word)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		page[i] = word;
}

static int64_t put_filled(uint64_t pool, uint64_t index, uint32_t word)
{
	struct tmem_key key = key_at(1, index);

	page_fill(word);
	return tmem_put(client, pool, &key, page);
}

static void expect_filled(uint64_t pool, uint64_t index, uint32_t word)
{
	uint32_t expected[WORDS];
	struct tmem_key key = key_at(1, index);

	page_fill(word);
	memcpy(expected, page, sizeof(expected));
	page_fill(~word);
	assert_int_equal(tmem_get(client, pool, &key, page), 0);
	assert_memory_equal(page, expected, TMEM_PAGE_SIZE);
}

/* The record of a page that is stored, its shard unlocked: nobody else is here. */
static struct tmem_page *record(uint64_t pool, uint64_t index)
{
	struct tmem_key key = key_at(1, index);
	uint64_t hash = tmem_index_hash_key(&key);
	struct tmem_pool *found = tmem_pool_find(client, pool);

	return tmem_index_find_page(&found->shards[tmem_index_shard(hash)], hash, &key);
}

static void test_filled_pages_cost_no_frame(void **state)
{
	static const uint32_t words[] = {0, 1, 0xffffffff, 0x80000000, 0x61616161, 0x12345678};
	uint64_t i, charged, copies = model_host.copies;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < 6; i++)
		assert_int_equal(put_filled(0, i, words[i]), 0);
	charged = stats_of(client).charged;
	assert_int_equal(charged, BASE_FRAMES);
	assert_int_equal(stats_of(client).held, 6);
	for (i = 0; i < 6; i++)
		expect_filled(0, i, words[i]);
	assert_int_equal(model_host.copies, copies);
}

/* A word anywhere in the page that differs from the others is kept. */
static void test_almost_filled(void **state)
{
	uint64_t i;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < WORDS; i++) {
		struct tmem_key key = key_at(1, 0);

		page_fill(7);
		page[i] = 8;
		assert_int_equal(tmem_content_scan(page), 0);
		assert_int_equal(tmem_put(client, 0, &key, page), 0);
		page_fill(9);
		assert_int_equal(tmem_get(client, 0, &key, page), 0);
		assert_int_equal(page[i], 8);
		page[i] = 7;
		assert_int_not_equal(tmem_content_scan(page), 0);
	}
	assert_int_equal(stats_of(client).charged, BASE_FRAMES + 1);
}

static void test_kinds_replace_each_other(void **state)
{
	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(put_filled(0, 1, 5), 0);
	assert_int_equal(put_filled(0, 1, 6), 0);
	expect_filled(0, 1, 6);
	assert_int_equal(stats_of(client).charged, BASE_FRAMES);
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	assert_int_equal(get(0, 1, 1), 'a');
	assert_int_equal(stats_of(client).charged, BASE_FRAMES + 1);
	assert_int_equal(put_filled(0, 1, 0), 0);
	expect_filled(0, 1, 0);
	assert_int_equal(stats_of(client).charged, BASE_FRAMES);
	assert_int_equal(flush(0, 1, 1), 1);
	assert_int_equal(stats_of(client).charged, BASE_FRAMES - CELL_FRAMES);
}

/* Without memory for the new page the old one must go: rule 2. */
static void test_replace_without_memory(void **state)
{
	(void)state;
	client_cap(BASE_FRAMES + 1);
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	assert_int_equal(put_filled(0, 2, 3), 0);
	assert_int_equal(put(0, 1, 2, 'b'), -TIDEPOOL_ENOSPC);
	assert_int_equal(get(0, 1, 2), -TIDEPOOL_ENOENT);
	assert_int_equal(get(0, 1, 1), 'a');
	assert_int_equal(stats_of(client).held, 1);
	assert_int_equal(stats_of(client).refused, 1);
}

/* A page that needs a frame takes another's, never its own place in the order. */
static void test_replace_evicts_another(void **state)
{
	(void)state;
	client_cap(BASE_FRAMES + 1);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	assert_int_equal(put_filled(0, 2, 3), 0);
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	assert_int_equal(put(0, 1, 2, 'b'), 0);
	assert_int_equal(stats_of(client).evicted, 1);
	assert_int_equal(get(0, 1, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(get(0, 1, 2), 'b');
}

/* Pages without a frame in front of the order give none, so those behind them go too. */
static void test_eviction_past_filled_pages(void **state)
{
	uint64_t i;

	(void)state;
	client_cap(BASE_FRAMES + 1);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	for (i = 0; i < 10; i++)
		assert_int_equal(put_filled(0, i, 3), 0);
	assert_int_equal(put(0, 1, 10, 'a'), 0);
	assert_int_equal(put(0, 1, 11, 'b'), 0);
	assert_int_equal(stats_of(client).evicted, 11);
	assert_int_equal(get(0, 1, 11), 'b');
}

static void test_parts(void **state)
{
	char part[12];

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(put_filled(0, 1, 0x44434241), 0);
	tmem_content_read_part(record(0, 1), 4095, 1, part);
	assert_memory_equal(part, "D", 1);
	tmem_content_read_part(record(0, 1), 5, 9, part);
	assert_memory_equal(part, "BCDABCDAB", 9);
	assert_int_equal(put(0, 1, 2, 'x'), 0);
	tmem_content_read_part(record(0, 2), 0, 2, part);
	assert_memory_equal(part, "xx", 2);
}

static void test_modify(void **state)
{
	char *data;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(put_filled(0, 1, 0x61616161), 0);
	data = tmem_content_modify(record(0, 1));
	assert_non_null(data);
	assert_int_equal(stats_of(client).charged, BASE_FRAMES + 1);
	data[17] = 'b';
	assert_ptr_equal(tmem_content_modify(record(0, 1)), data);
	page_fill(0);
	tmem_content_read(record(0, 1), page);
	assert_memory_equal((char *)page + 16, "aba", 3);
	assert_int_equal(put_filled(0, 2, 0), 0);
	client->cap = BASE_FRAMES + 1;
	assert_null(tmem_content_modify(record(0, 2)));
	expect_filled(0, 2, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_filled_pages_cost_no_frame),
		STORE_TEST(test_almost_filled),
		STORE_TEST(test_kinds_replace_each_other),
		STORE_TEST(test_replace_without_memory),
		STORE_TEST(test_replace_evicts_another),
		STORE_TEST(test_eviction_past_filled_pages),
		STORE_TEST(test_parts),
		STORE_TEST(test_modify),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

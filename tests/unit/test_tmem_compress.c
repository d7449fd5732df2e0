/* SPDX-License-Identifier: BSD-2-Clause */
/* Compressed pages: every operation on them as on any others, without memory and with; density. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"
#include "tmem/client.h"
#include "tmem/content.h"
#include "tmem/index.h"
#include "tmem/page.h"

/* Pages of one kind in a test of the operations. */
#define PAGES 40u

/* What a page is of: nothing repeats, half of it does, almost all does, it is filled. */
enum kind { RANDOM, HALF, TEXT, FILLED, KINDS };

static unsigned char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
static unsigned char wanted[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));

static void page_make(unsigned char *to, enum kind kind, uint64_t seed)
{
	static const unsigned int random[KINDS] = {TMEM_PAGE_SIZE, TMEM_PAGE_SIZE / 2, 100, 0};
	unsigned int i;

	for (i = 0; i < TMEM_PAGE_SIZE; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		to[i] = i < random[kind] ? (unsigned char)(seed >> 56) : (unsigned char)kind;
	}
}

static void client_make(uint64_t cap)
{
	const struct tmem_limits limits = {.cap = cap, .compress = true};

	client_destroy(client);
	client = tmem_client_create(&limits);
	assert_non_null(client);
}

static void compress_all(void)
{
	while (tmem_idle_step(true))
		continue;
}

static int64_t kind_put(uint64_t pool, uint64_t index, enum kind kind, uint64_t seed)
{
	struct tmem_key key = key_at(1, index);

	page_make(page, kind, seed);
	return tmem_put(client, pool, &key, page);
}

static void kind_expect(uint64_t pool, uint64_t index, enum kind kind, uint64_t seed)
{
	struct tmem_key key = key_at(1, index);

	page_make(wanted, kind, seed);
	memset(page, 0xee, sizeof(page));
	assert_int_equal(tmem_get(client, pool, &key, page), 0);
	assert_memory_equal(page, wanted, TMEM_PAGE_SIZE);
}

/* The record of a page that is stored, its lane unlocked: nobody else is here. */
static bool is_compressed(uint64_t pool, uint64_t index)
{
	struct tmem_key key = key_at(1, index);
	uint64_t hash = tmem_index_hash_key(&key);
	struct tmem_pool *found = tmem_pool_find(client, pool);

	return tmem_content_blob(
		tmem_index_find_page(&found->shards[tmem_index_shard(hash)], hash, &key));
}

static void test_what_is_compressed(void **state)
{
	uint64_t i, before;

	(void)state;
	client_make(UINT64_MAX);
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(pool_create(EPHEMERAL), 1);
	for (i = 0; i < KINDS * PAGES; i++)
		assert_int_equal(kind_put(i % 2, i, (enum kind)(i % KINDS), i), 0);
	assert_false(tmem_idle_step(false)); /* there is no need */
	assert_int_equal(model_host.compressed, 0);
	before = stats_of(client).charged;
	compress_all();
	for (i = 0; i < KINDS * PAGES; i++)
		assert_int_equal(is_compressed(i % 2, i), i % KINDS == HALF || i % KINDS == TEXT);
	assert_in_range(stats_of(client).charged, before - 2 * PAGES,
			before - 2 * PAGES + PAGES * 6 / 10);
	assert_int_equal(model_host.compressed, 3 * PAGES); /* each once */
	assert_int_equal(stats_of(client).held, KINDS * PAGES);
	for (i = 0; i < KINDS * PAGES; i++)
		kind_expect(i % 2, i, (enum kind)(i % KINDS), i);
	for (i = 0; i < KINDS * PAGES; i += 2)
		kind_expect(0, i, (enum kind)(i % KINDS), i);
}

/* A client that does not want it is left alone, cap or not. */
static void test_switched_off(void **state)
{
	uint64_t i = 0;

	(void)state;
	client_cap(BASE_FRAMES + PAGES);
	assert_int_equal(pool_create(PERSISTENT), 0);
	while (kind_put(0, i, TEXT, i) == 0)
		i++;
	assert_in_range(i, PAGES - 5, PAGES); /* the index grows a little */
	assert_false(tmem_idle_step(true));
	assert_int_equal(model_host.compressed, 0);
}

/* At its cap a client is compressed, with no memory but what its pages had. */
static void test_at_the_cap(void **state)
{
	uint64_t i = 0, n;

	(void)state;
	client_make(BASE_FRAMES + PAGES);
	assert_int_equal(pool_create(PERSISTENT), 0);
	while (kind_put(0, i, TEXT, i) == 0)
		i++;
	n = i;
	assert_in_range(n, 10 * PAGES, 64 * PAGES);
	assert_int_equal(stats_of(client).charged, BASE_FRAMES + PAGES);
	for (i = 0; i < n; i++)
		kind_expect(0, i, TEXT, i);
	/* A replacement that is refused takes the old page with it: rule 2. */
	for (i = 0; i < n; i++) {
		int64_t ret = kind_put(0, i, RANDOM, i);

		if (ret == 0) {
			kind_expect(0, i, RANDOM, i);
			continue;
		}
		assert_int_equal(ret, -TIDEPOOL_ENOSPC);
		assert_int_equal(get(0, 1, i), -TIDEPOOL_ENOENT);
	}
}

/* Ephemeral pages are compressed before they are evicted, and evicted in the end. */
static void test_eviction(void **state)
{
	uint64_t i, held;

	(void)state;
	client_make(BASE_FRAMES + 20 + PAGES);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	for (i = 0; i < 40 * PAGES; i++)
		assert_int_equal(kind_put(0, i, HALF, i), 0);
	held = stats_of(client).held;
	assert_in_range(held, PAGES * 3 / 2, 3 * PAGES);
	assert_int_equal(stats_of(client).evicted, 40 * PAGES - held);
	for (i = 0; i < 40 * PAGES; i++) {
		struct tmem_key key = key_at(1, i);

		if (tmem_get(client, 0, &key, page) < 0)
			continue;
		page_make(wanted, HALF, i);
		assert_memory_equal(page, wanted, TMEM_PAGE_SIZE);
		held--;
	}
	assert_int_equal(held, 0);
}

/* Read, write and exchange parts of a compressed page; each of them leaves the others' be. */
static void test_parts(void **state)
{
	static const struct tmem_span span = {.length = 1000, .offset = 2000, .at = 3000};
	unsigned char expected[TMEM_PAGE_SIZE];
	uint64_t i;

	(void)state;
	client_make(UINT64_MAX);
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < PAGES; i++)
		assert_int_equal(kind_put(0, i, HALF, i), 0);
	compress_all();
	for (i = 0; i < PAGES; i++) {
		struct tmem_key key = key_at(1, i);

		page_make(wanted, HALF, i);
		memset(page, 0xee, sizeof(page));
		memset(expected, 0xee, sizeof(expected));
		memcpy(expected + span.at, wanted + span.offset, span.length);
		assert_int_equal(tmem_read(client, 0, &key, &span, page), 0);
		assert_memory_equal(page, expected, sizeof(page));
		assert_true(is_compressed(0, i));

		memset(page, (int)i, sizeof(page));
		if (i % 2) {
			assert_int_equal(tmem_write(client, 0, &key, &span, page), 0);
		} else {
			memset(expected, (int)i, sizeof(expected));
			memcpy(expected + span.at, wanted + span.offset, span.length);
			assert_int_equal(tmem_exchange(client, 0, &key, &span, page), 0);
			assert_memory_equal(page, expected, sizeof(page));
		}
		assert_false(is_compressed(0, i));
		memset(wanted + span.offset, (int)i, span.length);
		assert_int_equal(tmem_get(client, 0, &key, page), 0);
		assert_memory_equal(page, wanted, sizeof(page));
	}
}

/* What of that needs memory, without any. */
static void test_parts_without_memory(void **state)
{
	static const struct tmem_span span = {.length = 1000, .offset = 2000, .at = 3000};
	struct tmem_key key = key_at(1, 0);

	(void)state;
	client_make(UINT64_MAX);
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(kind_put(0, 0, HALF, 0), 0);
	assert_int_equal(kind_put(0, 1, HALF, 1), 0);
	compress_all();
	client->cap = client->charged;
	memset(page, 1, sizeof(page));
	assert_int_equal(tmem_exchange(client, 0, &key, &span, page), -TIDEPOOL_ENOMEM);
	kind_expect(0, 0, HALF, 0);
	assert_int_equal(tmem_write(client, 0, &key, &span, page), -TIDEPOOL_ENOSPC);
	assert_int_equal(tmem_get(client, 0, &key, page), -TIDEPOOL_ENOENT);
	kind_expect(0, 1, HALF, 1);
}

/* Each kind over each other, compressed or not. */
static void test_replace(void **state)
{
	unsigned int from, to, i;

	(void)state;
	client_make(UINT64_MAX);
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(pool_create(EPHEMERAL), 1);
	for (i = 0; i < 4 * KINDS * KINDS; i++) {
		from = i / 4 / KINDS;
		to = i / 4 % KINDS;
		assert_int_equal(kind_put(i % 2, i, (enum kind)from, i), 0);
		if (i & 2)
			compress_all();
		assert_int_equal(kind_put(i % 2, i, (enum kind)to, i + 1), 0);
		kind_expect(i % 2, i, (enum kind)to, i + 1);
	}
	for (i = 0; i < 4 * KINDS * KINDS; i += 2) {
		kind_expect(0, i, (enum kind)(i / 4 % KINDS), i + 1);
		assert_int_equal(flush(0, 1, i), 1);
	}
	assert_int_equal(stats_of(client).held, 0);
}

/* Frames of blobs that are almost empty are emptied by an idle CPU. */
static void test_squeeze(void **state)
{
	uint64_t i, frames;

	(void)state;
	client_make(UINT64_MAX);
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < 20 * PAGES; i++)
		assert_int_equal(kind_put(0, i, HALF, i), 0);
	compress_all();
	for (i = 0; i < 20 * PAGES; i++)
		if (i % 8)
			assert_int_equal(flush(0, 1, i), 1);
	frames = client->grains.frames;
	compress_all();
	assert_in_range(client->grains.frames, 20 * PAGES / 16, frames / 2);
	for (i = 0; i < 20 * PAGES; i += 8)
		kind_expect(0, i, HALF, i);
}

/* A get of many pages at once, compressed ones among them. */
static void test_get_all(void **state)
{
	static unsigned char pages[8][TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
	struct tmem_get gets[8];
	unsigned int i;

	(void)state;
	client_make(UINT64_MAX);
	assert_int_equal(pool_create(EPHEMERAL), 0);
	for (i = 0; i < 8; i++) {
		assert_int_equal(kind_put(0, i, (enum kind)(i % KINDS), i), 0);
		gets[i] = (struct tmem_get){.key = key_at(1, i), .page = pages[i]};
	}
	compress_all();
	assert_int_equal(tmem_get_all(client, gets, 8), 0);
	for (i = 0; i < 8; i++) {
		page_make(wanted, (enum kind)(i % KINDS), i);
		assert_memory_equal(pages[i], wanted, sizeof(wanted));
	}
	assert_int_equal(client->grains.frames, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_what_is_compressed),
		STORE_TEST(test_switched_off),
		STORE_TEST(test_at_the_cap),
		STORE_TEST(test_eviction),
		STORE_TEST(test_parts),
		STORE_TEST(test_parts_without_memory),
		STORE_TEST(test_replace),
		STORE_TEST(test_squeeze),
		STORE_TEST(test_get_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

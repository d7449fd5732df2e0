/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"
#include "tmem/frame.h"

struct tmem_client *client;

static const uint64_t no_uuid[2];

struct tmem_key key_at(uint64_t oid, uint64_t index)
{
	return (struct tmem_key){.oid = {oid, 0, 0}, .index = index};
}

/* What a page ends with, so that it is not filled, and no two pages are alike. */
struct ending {
	uint64_t number, mark;
};

#define ENDING_AT   (TMEM_PAGE_SIZE - sizeof(struct ending))
#define ENDING_MARK 0x656e64696e67ull

int64_t put(uint64_t pool, uint64_t oid, uint64_t index, char fill)
{
	static uint64_t number;
	const struct ending ending = {.number = ++number, .mark = ENDING_MARK};
	char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
	struct tmem_key key = key_at(oid, index);

	memset(page, fill, ENDING_AT);
	memcpy(page + ENDING_AT, &ending, sizeof(ending));
	return tmem_put(client, pool, &key, page);
}

int64_t get(uint64_t pool, uint64_t oid, uint64_t index)
{
	static char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
	struct tmem_key key = key_at(oid, index);
	struct ending ending;
	int64_t ret;

	page[0] = 0;
	ret = tmem_get(client, pool, &key, page);
	if (ret < 0) {
		assert_int_equal(page[0], 0);
		return ret;
	}
	assert_int_equal(ret, 0);
	memcpy(&ending, page + ENDING_AT, sizeof(ending));
	assert_int_equal(ending.mark, ENDING_MARK);
	assert_memory_equal(page, page + 1, ENDING_AT - 1);
	return page[0];
}

int64_t flush(uint64_t pool, uint64_t oid, uint64_t index)
{
	struct tmem_key key = key_at(oid, index);

	return tmem_flush_page(client, pool, &key);
}

int64_t flush_object(uint64_t pool, uint64_t oid)
{
	const uint64_t words[3] = {oid, 0, 0};

	return tmem_flush_object(client, pool, words);
}

int64_t pool_create(uint64_t flags)
{
	return tmem_pool_create(client, flags, no_uuid);
}

struct tmem_stats stats_of(struct tmem_client *of)
{
	struct tmem_stats stats;

	tmem_client_stats(of, &stats);
	return stats;
}

void client_destroy(struct tmem_client *victim)
{
	while (tmem_client_destroy(victim) == -TIDEPOOL_EAGAIN)
		;
}

void client_cap(uint64_t cap)
{
	const struct tmem_limits limits = {.cap = cap};

	client_destroy(client);
	client = tmem_client_create(&limits);
	assert_non_null(client);
}

int calls_setup(void **state)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX};

	(void)state;
	assert_int_equal(model_host_start(UINT64_MAX), 0);
	client = tmem_client_create(&limits);
	assert_non_null(client);
	return 0;
}

int calls_teardown(void **state)
{
	struct tmem_store_stats stats;

	(void)state;
	client_destroy(client);
	tmem_store_stats(&stats);
	assert_int_equal(stats.pages_held, 0);
	assert_int_equal(stats.blocks, 1);
	assert_int_equal(stats.pages_free, TMEM_FRAMES_PER_BLOCK);
	model_host_stop();
	return 0;
}

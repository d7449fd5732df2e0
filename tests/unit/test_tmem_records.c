/* SPDX-License-Identifier: BSD-2-Clause */
/* Metadata that is refused: at each of a put's records, and more blocks of it than a first table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"
#include "tmem/cell.h"
#include "tmem/frame.h"
#include "tmem/index.h"

#define CELLS (TMEM_CELLS_PER_FRAME - 1) /* that may be used of a frame */

/* The next object id whose page 0 is, or is not, in shard 0. */
static uint64_t oid_next(uint64_t oid, bool first_shard)
{
	struct tmem_key key;

	do
		key = key_at(++oid, 0);
	while ((tmem_index_shard(tmem_index_hash_key(&key)) == 0) != first_shard);
	return oid;
}

/* A page of zeroes takes records only. */
static int64_t put_zero(uint64_t oid, uint64_t index)
{
	struct tmem_key key = key_at(oid, index);

	return tmem_new_page(client, 0, &key);
}

/*
 * One frame of records, @before of them taken by pages elsewhere. The others go to objects of one
 * shard, whose two buckets overflow: so by what is left is refused a page's record, its object's,
 * or one of the lines in which the index was to name them.
 */
static void refused_after(uint64_t before)
{
	uint64_t first = oid_next(0, true), oid, other = oid_next(0, false), i, puts = 0;

	client_cap(BASE_FRAMES);
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < before; i++)
		assert_int_equal(put_zero(other, i), 0);
	for (oid = first; put_zero(oid, 0) == 0; oid = oid_next(oid, true))
		puts++;
	assert_true(2 * puts + before < CELLS && 2 * puts + before > CELLS / 2);
	assert_int_equal(stats_of(client).refused, 1);
	assert_int_equal(stats_of(client).held, before + puts);
	assert_int_equal(get(0, oid, 0), -TIDEPOOL_ENOENT);
	/* Nothing of it is left: there is as much room as before. */
	assert_int_equal(flush(0, first, 0), 1);
	assert_int_equal(put_zero(first, 0), 0);
	assert_int_equal(put_zero(oid, 0), -TIDEPOOL_ENOMEM);
	for (oid = first; puts > 0; oid = oid_next(oid, true), puts--)
		assert_int_equal(flush(0, oid, 0), 1);
	assert_int_equal(flush_object(0, other), 0);
	assert_int_equal(stats_of(client).charged, BASE_FRAMES - CELL_FRAMES);
}

static void test_refused_at_each_record(void **state)
{
	uint64_t before;

	(void)state;
	for (before = 0; before < 32; before++)
		refused_after(before);
}

/* Clients whose pools alone fill more blocks than the first table of blocks has room for. */
#define MANY_BLOCKS  70u
#define MANY_CLIENTS (MANY_BLOCKS * TMEM_FRAMES_PER_BLOCK / (TIDEPOOL_MAX_POOLS * POOL_FRAMES) + 1)

/* Returns whether all the client's pools could be made, each with a page that is found again. */
static bool pools_fill(void)
{
	uint64_t pool;

	for (pool = 0; pool < TIDEPOOL_MAX_POOLS; pool++) {
		struct tmem_key key = key_at(pool, pool);

		if (pool_create(PERSISTENT) != (int64_t)pool)
			return false;
		if (tmem_new_page(client, pool, &key) != 0)
			return false;
	}
	for (pool = 0; pool < TIDEPOOL_MAX_POOLS; pool++)
		assert_int_equal(flush(pool, pool, pool), 1);
	return true;
}

static void many_blocks(uint64_t limit, bool enough)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX};
	struct tmem_client *clients[MANY_CLIENTS], *own = client;
	struct tmem_store_stats stats;
	unsigned int n = 0;
	bool all = true;

	model_host.limit = limit;
	for (; n < MANY_CLIENTS && all; n++) {
		client = clients[n] = tmem_client_create(&limits);
		all = client && pools_fill();
	}
	assert_int_equal(all, enough);
	tmem_store_stats(&stats);
	assert_true(!enough || stats.blocks >= MANY_BLOCKS);
	/* The table has a block of its own, beside those that are counted. */
	assert_int_equal(model_host.live, stats.blocks + enough);
	while (n-- > 0)
		if (clients[n])
			client_destroy(clients[n]);
	client = own;
}

/* Without a block for a larger table, what would have needed it is refused; with one it is not. */
static void test_more_blocks_than_the_first_table(void **state)
{
	(void)state;
	many_blocks(64, false);
	many_blocks(UINT64_MAX, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_refused_at_each_record),
		STORE_TEST(test_more_blocks_than_the_first_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

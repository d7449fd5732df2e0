/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A store on a host of two nodes: pages are kept near the CPU that puts them, and no put is refused
 * because its node is full. There is one CPU, which is on the node that a test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"
#include "tmem/frame.h"

#define NODES	   2u
#define BLOCKS_MAX 64u

static unsigned int here;
static uint64_t left[NODES];	 /* blocks that the host has still */
static uint64_t requests;	 /* for a block */
static char *blocks[BLOCKS_MAX]; /* by node: the first half is node 0's */
static char contents[TMEM_PAGE_SIZE] __attribute__((aligned(TMEM_PAGE_SIZE)));

static char **place_of(const void *block)
{
	unsigned int i;

	for (i = 0; i < BLOCKS_MAX; i++)
		if (blocks[i] == block)
			return &blocks[i];
	fail_msg("not a block that was handed out");
	return NULL;
}

static unsigned int node_of(const void *block)
{
	return (unsigned int)(place_of(block) - blocks) / (BLOCKS_MAX / NODES);
}

static void *alloc_of(unsigned int node)
{
	unsigned int i = node * (BLOCKS_MAX / NODES);

	if (!left[node])
		return NULL;
	left[node]--;
	while (blocks[i])
		i++;
	blocks[i] = model_host_calls.block_alloc();
	return blocks[i];
}

static void *alloc_here(void)
{
	requests++;
	return alloc_of(here);
}

static void *alloc_any(void)
{
	void *block = alloc_of(here);

	requests++;
	return block ? block : alloc_of(1 - here);
}

static void free_block(void *block)
{
	left[node_of(block)]++;
	*place_of(block) = NULL;
	model_host_calls.block_free(block);
}

static unsigned int node_here(void)
{
	return here;
}

static void start(uint64_t first, uint64_t second)
{
	struct tmem_host host = model_host_calls;

	host.nodes = NODES;
	host.node = node_here;
	host.node_of = node_of;
	host.block_alloc = alloc_any;
	host.block_alloc_here = alloc_here;
	host.block_free = free_block;
	left[0] = first;
	left[1] = second;
	here = 0;
	requests = 0;
	assert_int_equal(model_host_start_with(&host, UINT64_MAX), 0);
}

static unsigned int node_of_frame(const void *frame)
{
	return node_of((void *)((uintptr_t)frame & ~(uintptr_t)(TMEM_BLOCK_SIZE - 1)));
}

/* Take frames until there are none. Returns how many there were. */
static uint64_t take_all(void **frames, uint64_t max)
{
	uint64_t count = 0;

	while (count < max && (frames[count] = tmem_frame_alloc(TMEM_FRAME_PAGE, false)))
		count++;
	return count;
}

static void give_all(void **frames, uint64_t count)
{
	while (count) {
		tmem_frame_free(frames[--count], false);
		tmem_frame_trim();
	}
}

/* From either node: its own frames first, then all of the other's. */
static void test_frames(void **state)
{
	static void *frames[6 * TMEM_FRAMES_PER_BLOCK];
	const uint64_t all = 5 * TMEM_FRAMES_PER_BLOCK - MODEL_HOST_CPUS;
	unsigned int node;

	(void)state;
	for (node = 0; node < NODES; node++) {
		uint64_t own = (node ? 3 : 2) * TMEM_FRAMES_PER_BLOCK, i;

		start(2, 3);
		here = node;
		assert_int_equal(take_all(frames, 6 * TMEM_FRAMES_PER_BLOCK), all);
		for (i = 0; i < all; i++)
			assert_int_equal(node_of_frame(frames[i]), i < own ? node : 1 - node);
		assert_int_equal(tmem_node_blocks(0), 2);
		assert_int_equal(tmem_node_blocks(1), 3);
		give_all(frames, all);
		/* of each node one is kept, so that one page in turn moves no block */
		assert_int_equal(tmem_node_blocks(0), 1);
		assert_int_equal(tmem_node_blocks(1), 1);
		model_host_stop();
	}
}

/* A node that has no blocks takes what is at hand elsewhere, and no block more than that needs. */
static void test_a_full_node_takes_no_more_blocks(void **state)
{
	void *frames[TMEM_FRAMES_PER_BLOCK / 2];
	uint64_t count;

	(void)state;
	start(9, 0);
	here = 1;
	count = take_all(frames, TMEM_FRAMES_PER_BLOCK / 2);
	assert_int_equal(count, TMEM_FRAMES_PER_BLOCK / 2);
	assert_int_equal(tmem_node_blocks(0), 1);
	assert_int_equal(left[0], 8);
	give_all(frames, count);
	model_host_stop();
}

static int64_t put_at(unsigned int node, uint64_t index)
{
	struct tmem_key key = key_at(node, index);

	here = node;
	memset(contents, 0, sizeof(contents));
	memcpy(contents, &key, sizeof(key));
	return tmem_put(client, 0, &key, contents);
}

static void check_at(unsigned int node, uint64_t index)
{
	struct tmem_key key = key_at(node, index);

	memset(contents, 0, sizeof(contents));
	assert_int_equal(tmem_get(client, 0, &key, contents), 0);
	assert_memory_equal(contents, &key, sizeof(key));
}

static void client_create(void)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX};

	client = tmem_client_create(&limits);
	assert_non_null(client);
	assert_int_equal(pool_create(PERSISTENT), 0);
}

/* Two nodes' CPUs put in turn: half of the blocks is each node's. */
static void test_puts(void **state)
{
	const uint64_t pages = 3 * TMEM_FRAMES_PER_BLOCK;
	uint64_t index;

	(void)state;
	start(30, 30);
	client_create();
	for (index = 0; index < pages; index++) {
		assert_int_equal(put_at(1, index), 0);
		if (index % 64 == 0)
			assert_in_range(tmem_node_blocks(0), 1, 2);
	}
	/* The pages, and what the index takes, which is in a block of its own. */
	assert_in_range(tmem_node_blocks(1), 4, 5);
	for (index = 0; index < pages; index++)
		assert_int_equal(put_at(0, index), 0);
	assert_in_range(tmem_node_blocks(1), 4, 5);
	assert_in_range(tmem_node_blocks(0), 4, 6);
	for (index = 0; index < pages; index++) {
		check_at(0, index);
		check_at(1, index);
	}
	client_destroy(client);
	model_host_stop();
}

/* Refused is a put only when both nodes are full, whichever it comes from. */
static void test_puts_until_all_is_full(void **state)
{
	uint64_t index, refused_at[NODES];
	unsigned int node;

	(void)state;
	for (node = 0; node < NODES; node++) {
		start(3, 4);
		client_create();
		for (index = 0; put_at(node, index) == 0; index++)
			;
		refused_at[node] = index;
		assert_int_equal(left[0] + left[1], 0);
		assert_int_equal(put_at(1 - node, 1), -TIDEPOOL_ENOMEM);
		while (index)
			check_at(node, --index);
		client_destroy(client);
		model_host_stop();
	}
	/* All frames but those of the index, of which both ways need as many. */
	assert_in_range(refused_at[0], 6 * TMEM_FRAMES_PER_BLOCK, 7 * TMEM_FRAMES_PER_BLOCK);
	assert_in_range(refused_at[1], refused_at[0] - 8, refused_at[0] + 8);
}

/* One page put and flushed in turn asks the host for nothing, whatever is free elsewhere. */
static void test_put_and_flush_in_turn(void **state)
{
	uint64_t index, before;

	(void)state;
	start(30, 30);
	client_create();
	for (index = 0; index < 4 * TMEM_FRAMES_PER_BLOCK; index++)
		assert_int_equal(put_at(0, index), 0);
	for (index = 0; index < 4 * TMEM_FRAMES_PER_BLOCK; index++)
		if (index % 4)
			assert_int_equal(flush(0, 0, index), 1);
	assert_int_equal(put_at(1, 0), 0);
	assert_int_equal(put_at(1, 1), 0);
	before = requests;
	for (index = 2; index < 40; index++) {
		assert_int_equal(put_at(1, index), 0);
		assert_int_equal(flush(0, 1, index), 1);
	}
	assert_int_equal(requests, before);
	client_destroy(client);
	model_host_stop();
}

/* Pages that are moved so that a block can go stay on their node. */
static void test_moving(void **state)
{
	const uint64_t pages = 4 * TMEM_FRAMES_PER_BLOCK;
	uint64_t index, on_second, steps;

	(void)state;
	start(30, 30);
	client_create();
	for (index = 0; index < pages; index++)
		assert_int_equal(put_at(1, index), 0);
	for (index = 0; index < pages; index++)
		if (index % 4)
			assert_int_equal(flush(0, 1, index), 1);
	on_second = tmem_node_blocks(1);
	assert_true(on_second > 4);
	here = 0;
	for (steps = 0; steps < 100000; steps++)
		if (tmem_relinquish(2) == -TIDEPOOL_ENOMEM || tmem_node_blocks(1) <= on_second - 2)
			break;
	assert_int_equal(tmem_relinquish(0), 0);
	assert_in_range(tmem_node_blocks(1), 2, on_second - 2);
	assert_in_range(tmem_node_blocks(0), 0, 1);
	for (index = 0; index < pages; index += 4)
		check_at(1, index);
	client_destroy(client);
	model_host_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_a_full_node_takes_no_more_blocks),
		cmocka_unit_test(test_puts),
		cmocka_unit_test(test_puts_until_all_is_full),
		cmocka_unit_test(test_put_and_flush_in_turn),
		cmocka_unit_test(test_moving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

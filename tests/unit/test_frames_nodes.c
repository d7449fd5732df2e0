/* SPDX-License-Identifier: BSD-2-Clause */
/* Host memory of three nodes, of which the last has none: who asks gets the nearest there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/frames_host.h"

#define NODES  3u
#define BLOCKS 4u /* of each of the first two nodes */
#define FRAMES (BLOCK_SIZE / PAGE_SIZE - 1)

static uint32_t here; /* the node of the calling CPU */
static char *arena;

uint32_t platform_node(void)
{
	return here;
}

static uint32_t node_of(const void *memory)
{
	return (uint32_t)((uint64_t)((const char *)memory - arena) / (BLOCKS * BLOCK_SIZE));
}

static uint64_t free_kib(uint32_t node)
{
	uint64_t total, free;

	frames_node_bytes(node, &total, &free);
	assert_int_equal(total, node < 2 ? BLOCKS * BLOCK_SIZE : 0);
	return free / KIB;
}

static int add_arena(void **state)
{
	static struct node_map map = {.count = NODES, .range_count = 2};

	(void)state;
	arena = aligned_alloc(BLOCK_SIZE, 2 * BLOCKS * BLOCK_SIZE);
	assert_non_null(arena);
	memset(arena, 0xa5, 2 * BLOCKS * BLOCK_SIZE);
	for (uint32_t i = 0; i < 2; i++) {
		hpa_t base = virt_to_phys(arena + i * BLOCKS * BLOCK_SIZE);

		map.ranges[i] = (struct node_range){base, base + BLOCKS * BLOCK_SIZE, i};
	}
	frames_set_nodes(&map);
	frames_add(virt_to_phys(arena), 2 * BLOCKS * BLOCK_SIZE);
	return 0;
}

static int free_arena(void **state)
{
	(void)state;
	free(arena);
	return 0;
}

/* Each test gives back what it took. */
static int all_is_back(void **state)
{
	(void)state;
	here = 0;
	assert_int_equal(frames_nodes(), NODES);
	assert_int_equal(frames_free_blocks(), 2 * BLOCKS);
	assert_int_equal(frames_total_bytes(), 2 * BLOCKS * BLOCK_SIZE);
	for (uint32_t node = 0; node < 2; node++)
		assert_int_equal(free_kib(node), BLOCKS * BLOCK_SIZE / KIB);
	assert_int_equal(free_kib(2), 0);
	return 0;
}

/* From each node: first its own memory, then that of others, and all of it in the end. */
static void test_blocks(void **state)
{
	void *blocks[2 * BLOCKS];

	(void)state;
	for (uint32_t cpu = 0; cpu < NODES; cpu++) {
		uint32_t first = cpu % 2; /* the third asks the first, and then the second */

		here = cpu;
		for (unsigned int i = 0; i < 2 * BLOCKS; i++) {
			blocks[i] = block_alloc();
			assert_non_null(blocks[i]);
			assert_int_equal(blocks[i] ? *(uint64_t *)blocks[i] : 1, 0);
			assert_int_equal(node_of(blocks[i]), i < BLOCKS ? first : 1 - first);
			assert_int_equal(frames_node_of(blocks[i]), node_of(blocks[i]));
			memset(blocks[i], 0x77, BLOCK_SIZE);
		}
		assert_null(block_alloc());
		for (unsigned int i = 0; i < 2 * BLOCKS; i++)
			block_free(blocks[i]);
		all_is_back(NULL);
	}
}

static void test_named_node(void **state)
{
	void *blocks[BLOCKS + 1];

	(void)state;
	for (unsigned int i = 0; i < BLOCKS; i++) {
		blocks[i] = block_alloc_of(1);
		assert_int_equal(node_of(blocks[i]), 1);
	}
	assert_null(block_alloc_of(1));
	assert_null(block_alloc_of(2));
	assert_int_equal(frames_roomiest_node(1 << 0 | 1 << 1), 0);
	blocks[BLOCKS] = block_alloc_near(1);
	assert_int_equal(node_of(blocks[BLOCKS]), 0);
	for (unsigned int i = 0; i <= BLOCKS; i++)
		block_free(blocks[i]);
}

static void test_roomiest(void **state)
{
	void *block = block_alloc_of(0);

	(void)state;
	assert_int_equal(frames_roomiest_node(1 << 0 | 1 << 1 | 1 << 2), 1);
	assert_int_equal(frames_roomiest_node(1 << 0), 0);
	assert_int_equal(frames_roomiest_node(1 << 2), 0); /* it has none: any will do */
	block_free(block);
}

/* A frame of the own node as long as there is a block to cut, then what there is. */
static void test_frames(void **state)
{
	unsigned int count = 0, near = 0;
	void **taken = calloc(2 * BLOCKS * FRAMES, sizeof(*taken));

	(void)state;
	here = 1;
	while ((taken[count] = frame_alloc()) != NULL) {
		near += node_of(taken[count]) == 1;
		assert_int_equal(node_of(taken[count]), count < BLOCKS * FRAMES ? 1 : 0);
		if (++count == 2 * BLOCKS * FRAMES)
			break;
	}
	assert_int_equal(count, 2 * BLOCKS * FRAMES);
	assert_int_equal(near, BLOCKS * FRAMES);
	assert_int_equal(frames_free_bytes(), 0);
	assert_null(frame_alloc());
	frame_free(taken[0]);
	assert_int_equal(free_kib(1), PAGE_SIZE / KIB);
	assert_int_equal(free_kib(0), 0);
	here = 0;
	assert_ptr_equal(frame_alloc(), taken[0]); /* there is nothing nearer */
	while (count)
		frame_free(taken[--count]);
	free(taken);
}

/* An idle CPU begins with its own node's blocks. */
static void test_scrubbing(void **state)
{
	const uint64_t steps = BLOCKS * (BLOCK_SIZE / (4 * KIB));
	uint64_t done = 0;

	(void)state;
	here = 1;
	while (done < steps) {
		assert_true(frames_scrub_step());
		done++;
	}
	for (unsigned int i = 0; i < BLOCKS; i++)
		for (unsigned int n = 0; n < BLOCK_SIZE; n += PAGE_SIZE)
			assert_int_equal(arena[(BLOCKS + i) * BLOCK_SIZE + n + 64], 0);
	while (frames_scrub_step())
		done++;
	assert_int_equal(done, 2 * steps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_blocks, all_is_back, all_is_back),
		cmocka_unit_test_setup_teardown(test_named_node, all_is_back, all_is_back),
		cmocka_unit_test_setup_teardown(test_roomiest, all_is_back, all_is_back),
		cmocka_unit_test_setup_teardown(test_frames, all_is_back, all_is_back),
		cmocka_unit_test_setup_teardown(test_scrubbing, all_is_back, all_is_back),
	};

	return cmocka_run_group_tests(tests, add_arena, free_arena);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Host memory: nothing is handed out twice, nothing dirty is handed out, everything comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/errno.h"
#include "tests/unit/frames_host.h"

#define BLOCKS 8u

uint32_t platform_node(void)
{
	fail_msg("there is one node: nobody asks");
	return 0;
}

static bool is_zero(const void *memory, size_t size)
{
	const char *bytes = memory;

	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* One arena for all tests: the allocator has no way to forget memory, so each test gives all back.
 */
static int add_arena(void **state)
{
	char *arena = aligned_alloc(BLOCK_SIZE, (BLOCKS + 1) * BLOCK_SIZE);

	assert_non_null(arena);
	memset(arena, 0xa5, (BLOCKS + 1) * BLOCK_SIZE);
	/* ragged ends: only the whole blocks between them count */
	frames_add((uint64_t)arena + PAGE_SIZE - DIRECT_MAP_BASE,
		   (BLOCKS + 1) * BLOCK_SIZE - PAGE_SIZE);
	*state = arena;
	return 0;
}

static int free_arena(void **state)
{
	free(*state);
	return 0;
}

static void test_blocks_are_distinct_and_zero(void **state)
{
	void *blocks[BLOCKS];

	(void)state;
	assert_int_equal(frames_free_blocks(), BLOCKS);
	for (unsigned int i = 0; i < BLOCKS; i++) {
		blocks[i] = block_alloc();
		assert_non_null(blocks[i]);
		assert_true(is_zero(blocks[i], BLOCK_SIZE));
		memset(blocks[i], 0x5a, BLOCK_SIZE);
		for (unsigned int j = 0; j < i; j++)
			assert_ptr_not_equal(blocks[i], blocks[j]);
	}
	assert_null(block_alloc());
	assert_null(frame_alloc());
	assert_int_equal(frames_free_bytes(), 0);
	for (unsigned int i = 0; i < BLOCKS; i++)
		block_free(blocks[i]);
	assert_int_equal(frames_free_blocks(), BLOCKS);
}

static void test_scrub_step_cleans_what_was_freed(void **state)
{
	void *block = block_alloc();
	unsigned int steps = 0;

	memset(block, 0xff, BLOCK_SIZE);
	block_free(block);
	while (frames_scrub_step())
		steps++;
	/* all blocks were dirty; an idle CPU does 4 KiB at a time */
	assert_int_equal(steps, BLOCKS * (BLOCK_SIZE / (4 * KIB)));
	assert_false(frames_scrub_step());
	for (unsigned int i = 0; i < BLOCKS; i++) {
		block = block_alloc();
		assert_true(is_zero(block, BLOCK_SIZE));
	}
	/* the arena is contiguous: hand the blocks back by address */
	char *arena = (char *)*state + BLOCK_SIZE;

	for (unsigned int i = 0; i < BLOCKS; i++)
		block_free(arena + i * BLOCK_SIZE);
}

static void test_half_scrubbed_blocks_are_handed_out_clean(void **state)
{
	char *arena = (char *)*state + BLOCK_SIZE;

	for (unsigned int i = 0; i < BLOCKS; i++)
		memset(block_alloc(), 0xc3, BLOCK_SIZE);
	for (unsigned int i = 0; i < BLOCKS; i++)
		block_free(arena + i * BLOCK_SIZE);
	for (unsigned int i = 0; i < 5; i++)
		assert_true(frames_scrub_step());
	assert_int_equal(frames_free_blocks(), BLOCKS);
	for (unsigned int i = 0; i < BLOCKS; i++)
		assert_true(is_zero(block_alloc(), BLOCK_SIZE));
	for (unsigned int i = 0; i < BLOCKS; i++)
		block_free(arena + i * BLOCK_SIZE);
}

static void test_frames_merge_to_blocks_again(void **state)
{
	const unsigned int count = 2 * (BLOCK_SIZE / PAGE_SIZE);
	void **frames = calloc(count, sizeof(*frames));
	uint64_t before = frames_free_bytes();

	(void)state;
	for (unsigned int i = 0; i < count; i++) {
		frames[i] = frame_alloc();
		assert_non_null(frames[i]);
		assert_true(is_zero(frames[i], PAGE_SIZE));
		memset(frames[i], (int)i | 1, PAGE_SIZE);
	}
	assert_true(frames_free_blocks() < BLOCKS - 2);
	for (unsigned int i = 0; i < count; i++) {
		const unsigned char *bytes = frames[i];

		assert_int_equal(bytes[0], (i | 1) & 0xff); /* nobody else wrote here */
		assert_int_equal(bytes[PAGE_SIZE - 1], (i | 1) & 0xff);
	}
	/* every second one first, so that each block is partly free for a while */
	for (unsigned int i = 0; i < count; i += 2)
		frame_free(frames[i]);
	for (unsigned int i = 1; i < count; i += 2)
		frame_free(frames[i]);
	assert_int_equal(frames_free_bytes(), before);
	assert_int_equal(frames_free_blocks(), BLOCKS);
	free(frames);
}

static void test_freed_frame_is_scrubbed(void **state)
{
	void *keep = frame_alloc(), *frame = frame_alloc();

	(void)state;
	memset(frame, 0xee, PAGE_SIZE);
	frame_free(frame);
	assert_true(is_zero(frame, PAGE_SIZE));
	frame_free(keep);
}

/* Last: the arena is smaller from here on. */
static void test_condemned_blocks_do_not_come_back(void **state)
{
	uint64_t total = frames_total_bytes();
	char *block = block_alloc(), *other = block_alloc();
	hpa_t address = virt_to_phys(block) + 0x12345;

	(void)state;
	assert_false(frames_is_condemned(address));
	assert_int_equal(frames_condemn(address), 0);
	assert_int_equal(frames_condemn(virt_to_phys(block)), 0); /* the same */
	assert_true(frames_is_condemned(address));
	assert_false(frames_is_condemned(virt_to_phys(other)));
	assert_int_equal(frames_total_bytes(), total); /* it is in use */
	block_free(block);
	block_free(other);
	assert_int_equal(frames_free_blocks(), BLOCKS - 1);
	assert_int_equal(frames_total_bytes(), total - BLOCK_SIZE);
	for (unsigned int i = 0; i < BLOCKS - 1; i++)
		assert_ptr_not_equal(block_alloc(), block);
	assert_null(block_alloc());

	/* Fifteen more; they need not be the allocator's. */
	for (unsigned int i = 1; i < 16; i++)
		assert_int_equal(frames_condemn(virt_to_phys(block) + i * 64 * BLOCK_SIZE), 0);
	assert_int_equal(frames_condemn(virt_to_phys(block) + 16 * 64 * BLOCK_SIZE), -ENOSPC);
	assert_false(frames_is_condemned(virt_to_phys(block) + 16 * 64 * BLOCK_SIZE));
	assert_int_equal(frames_condemn(address), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_are_distinct_and_zero),
		cmocka_unit_test(test_scrub_step_cleans_what_was_freed),
		cmocka_unit_test(test_half_scrubbed_blocks_are_handed_out_clean),
		cmocka_unit_test(test_frames_merge_to_blocks_again),
		cmocka_unit_test(test_freed_frame_is_scrubbed),
		cmocka_unit_test(test_condemned_blocks_do_not_come_back),
	};

	return cmocka_run_group_tests(tests, add_arena, free_arena);
}

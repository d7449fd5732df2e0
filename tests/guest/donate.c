/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one guest gives becomes room in the store for another at once. Both fill the store until it
 * is full: "give" then gives blocks, and "want" must find that so many pages more are taken. The
 * giver stays "wait=" ticks longer, for what the host has of its RAM when it ends is not the gift.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define WORDS	      (TIDEPOOL_PAGE_SIZE / sizeof(uint64_t))
#define FIRST	      2u /* block; the test itself lies in front of it */
#define PAGES_MAX     200000u
#define PAUSE_TICKS   5000000ull
#define TICKS_TO_WAIT 40000000000ull

/* Of a block's pages, what at least must be had of it: the rest keeps track of them. */
#define PAGES_OF_BLOCK (TIDEPOOL_BLOCK_FRAMES * 9 / 10)

const char test_name[] = "donate";

static uint64_t page[WORDS] __attribute__((aligned(4096)));
static uint64_t pool;

static int64_t put(uint64_t number)
{
	const struct page_key key = {{number / 512, 0, 0}, number % 512};

	for (unsigned int i = 0; i < WORDS; i += 8)
		page[i] = number * WORDS + i;
	return page_put(pool, &key, page);
}

/* Returns how many pages were taken until one was refused. */
static uint64_t fill_up(uint64_t first)
{
	uint64_t number = first;
	int64_t result;

	while ((result = put(number)) == 0 && number < PAGES_MAX)
		number++;
	CHECK_EQ(result, -TIDEPOOL_ENOMEM, "put into a full store");
	return number - first;
}

static void wait_ticks(uint64_t ticks)
{
	uint64_t start = rdtsc();

	while (rdtsc() - start < ticks)
		__asm__ volatile("pause");
}

static void give(uint64_t blocks)
{
	/* The other one has had its part, and been refused: nothing more goes in from here either.
	 */
	fill_up(0);
	wait_ticks(4 * PAUSE_TICKS);
	print("donate: giving %lu blocks\n", blocks);
	for (uint64_t i = 0; i < blocks; i++)
		CHECK_EQ(hypercall(TIDEPOOL_OP_GIVE_BLOCK, (FIRST + i) * TIDEPOOL_BLOCK_FRAMES, 0,
				   0, 0, 0, 0),
			 0, "give");
}

static void want(uint64_t blocks)
{
	uint64_t stored = fill_up(0), more = 0, start;

	print("donate: full with %lu pages\n", stored);
	for (start = rdtsc(); rdtsc() - start < TICKS_TO_WAIT && more < blocks * PAGES_OF_BLOCK;) {
		more += fill_up(stored + more);
		wait_ticks(PAUSE_TICKS);
	}
	print("donate: %lu pages more\n", more);
	CHECK(more >= blocks * PAGES_OF_BLOCK, "%lu pages of %lu blocks", more, blocks);
}

void test_main(void)
{
	uint64_t blocks = cmdline_number("blocks=", 4);
	int64_t id;

	tidepool_require();
	id = pool_new(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION);
	if (id < 0) {
		test_error("no pool: %ld", id);
		test_finish();
	}
	pool = (uint64_t)id;
	if (!cmdline_has("give")) {
		want(blocks);
		return;
	}
	give(blocks);
	wait_ticks(cmdline_number("wait=", 0));
}

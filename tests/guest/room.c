/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that the store hands back while it is full: this guest gives "give=" blocks, fills all of
 * the host's memory, one page in four persistent, and takes its blocks back. Then it waits until
 * "blocks=" of the store's have gone elsewhere. No byte of a persistent page has changed, then, nor
 * of an ephemeral one that is still there.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define WORDS	      (TIDEPOOL_PAGE_SIZE / sizeof(uint64_t))
#define BLOCK	      (TIDEPOOL_BLOCK_FRAMES * TIDEPOOL_PAGE_SIZE)
#define FIRST	      2u /* block; the test itself lies in front of it */
#define PAGES_MAX     200000u
#define EVICTED	      500u /* pages, and the store is full */
#define KEPT_EACH     4u
#define TICKS_TO_WAIT 60000000000ull

/* Of a block's pages, what at least goes with it: some move to where others have gone. */
#define PAGES_OF_BLOCK (TIDEPOOL_BLOCK_FRAMES * 3 / 4)

const char test_name[] = "room";

static uint64_t page[WORDS] __attribute__((aligned(4096)));
static uint64_t kept, cache; /* pools */

static struct page_key key_of(uint64_t number)
{
	return (struct page_key){{number / 512, 0, 0}, number % 512};
}

static void fill(uint64_t number)
{
	for (unsigned int i = 0; i < WORDS; i++)
		page[i] = number * WORDS + i;
}

static uint64_t pool_of(uint64_t number)
{
	return number % KEPT_EACH ? cache : kept;
}

/* Returns how many pages were put until there was no room for more. */
static uint64_t fill_up(void)
{
	uint64_t number = 0;

	while ((uint64_t)query(TIDEPOOL_QUERY_HELD) + EVICTED > number && number < PAGES_MAX) {
		struct page_key key = key_of(number);

		fill(number);
		CHECK_EQ(page_put(pool_of(number), &key, page), 0, "put");
		number++;
	}
	CHECK(number < PAGES_MAX, "%lu pages went in", number);
	return number;
}

static void check_pages(uint64_t count)
{
	static uint64_t got[WORDS] __attribute__((aligned(4096)));
	uint64_t there = 0;

	for (uint64_t number = 0; number < count; number++) {
		struct page_key key = key_of(number);
		int64_t err = page_get(pool_of(number), &key, got);

		if (err == -TIDEPOOL_ENOENT && pool_of(number) == cache)
			continue;
		CHECK_EQ(err, 0, "get");
		fill(number);
		CHECK(memcmp(got, page, sizeof(page)) == 0, "page %lu has changed", number);
		there++;
	}
	print("room: %lu of %lu pages are there\n", there, count);
	CHECK(there > count / KEPT_EACH, "no ephemeral page is left");
}

static int64_t move(uint64_t op, uint64_t block)
{
	int64_t err;

	do
		err = hypercall(op, block * TIDEPOOL_BLOCK_FRAMES, 0, 0, 0, 0, 0);
	while (err == -TIDEPOOL_EAGAIN);
	return err;
}

static void take_back(uint64_t blocks)
{
	for (uint64_t block = FIRST; block < FIRST + blocks; block++) {
		const uint64_t *word = (const uint64_t *)(block * BLOCK);
		uint64_t other = 0;

		CHECK_EQ(move(TIDEPOOL_OP_TAKE_BLOCK, block), 0, "take");
		for (uint64_t i = 0; i < BLOCK / sizeof(*word); i++)
			other |= word[i];
		CHECK_EQ(other, 0, "bits in a block that was taken back");
	}
	print("room: %lu blocks are back\n", blocks);
}

void test_main(void)
{
	uint64_t given = cmdline_number("give=", 0), count, held, start = rdtsc();
	uint64_t pages = cmdline_number("blocks=", 0) * PAGES_OF_BLOCK;

	tidepool_require();
	kept = (uint64_t)pool_new(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION);
	cache = (uint64_t)pool_new(TIDEPOOL_POOL_VERSION);
	for (uint64_t block = FIRST; block < FIRST + given; block++)
		CHECK_EQ(move(TIDEPOOL_OP_GIVE_BLOCK, block), 0, "give");
	count = fill_up();
	take_back(given);
	held = (uint64_t)query(TIDEPOOL_QUERY_HELD);
	print("room: full with %lu pages\n", held);
	while ((uint64_t)query(TIDEPOOL_QUERY_HELD) + pages > held &&
	       rdtsc() - start < TICKS_TO_WAIT)
		__asm__ volatile("pause");
	CHECK((uint64_t)query(TIDEPOOL_QUERY_HELD) + pages <= held, "the store has not shrunk");
	check_pages(count);
}

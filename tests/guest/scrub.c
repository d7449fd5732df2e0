/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No byte of another guest comes out of the store: this one puts only its own byte ("byte="), and
 * looks at all that it gets. Start it twice, with a store that is too small for both.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define PAGES  300u
#define ROUNDS 3u
#define PART   TIDEPOOL_SPAN(16, 1000, 2000)

const char test_name[] = "scrub";

#define WORDS (TIDEPOOL_PAGE_SIZE / 8)

static uint64_t page[WORDS] __attribute__((aligned(4096)));
static uint64_t own; /* its byte, eight times */

/* A page that is not filled: it takes a frame. */
static void page_fill(uint64_t number)
{
	memset(page, (int)(own & 0xff), sizeof(page));
	page[number % WORDS] = 0;
}

static bool page_is_own(void)
{
	for (size_t i = 0; i < WORDS; i++)
		if (page[i] && page[i] != own)
			return false;
	return true;
}

/* Every page either whole, or written in part into a new one, which must be zeroes else. */
static void put_all(uint64_t pool)
{
	struct page_key key = {{1, 2, 3}, 0};

	for (; key.index < PAGES; key.index++) {
		int64_t err;

		page_fill(key.index);
		err = key.index % 3 ? page_put(pool, &key, page)
				    : page_call(TIDEPOOL_OP_WRITE, pool, &key, page, PART);
		CHECK(err == 0 || err == -TIDEPOOL_ENOMEM || err == -TIDEPOOL_ENOSPC, "put: %ld",
		      err);
	}
}

static void get_all(uint64_t pool)
{
	struct page_key key = {{1, 2, 3}, 0};
	unsigned int got = 0;

	for (; key.index < PAGES; key.index++) {
		page_fill(0);
		if (page_get(pool, &key, page) < 0)
			continue;
		got++;
		if (!page_is_own()) {
			test_failure("page %lu has a byte that is not this guest's", key.index);
			return;
		}
	}
	CHECK(got > 0, "nothing came back");
}

void test_main(void)
{
	tidepool_require();
	own = cmdline_number("byte=", 1) * 0x0101010101010101;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		int64_t pool = pool_new(TIDEPOOL_POOL_VERSION);

		CHECK(pool >= 0, "new pool: %ld", pool);
		put_all((uint64_t)pool);
		get_all((uint64_t)pool);
		CHECK_EQ(pool_destroy((uint64_t)pool), 0, "destroy");
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Refusal: a guest whose "tmem=" cap is small puts until it is refused. Nothing that is stored may
 * suffer, a refused key must hold nothing, and room that was made can be used again.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define PAGES_DEFAULT 4096 /* more than the cap has room for */
#define FREED	      16
#define WORDS	      (TIDEPOOL_PAGE_SIZE / 8)

const char test_name[] = "full";

static uint64_t page[WORDS] __attribute__((aligned(4096)));

/* Incompressible, equal to no other page, and made again from its number. */
static void fill(uint64_t number)
{
	uint64_t state = number * 0x9e3779b97f4a7c15 + 1;

	for (size_t i = 0; i < WORDS; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		page[i] = state;
	}
}

static struct page_key key_of(uint64_t number)
{
	return (struct page_key){{number / 64, 0, 0}, number % 64};
}

static int64_t put(uint64_t pool, uint64_t number)
{
	struct page_key key = key_of(number);

	fill(number);
	return page_put(pool, &key, page);
}

/* Gets a page and compares it with its number's. */
static void expect_page(uint64_t pool, uint64_t number)
{
	static uint64_t got[WORDS] __attribute__((aligned(4096)));
	struct page_key key = key_of(number);
	int64_t err = page_get(pool, &key, got);

	if (err) {
		test_failure("get of page %lu: %ld", number, err);
		return;
	}
	fill(number);
	CHECK(memcmp(got, page, sizeof(page)) == 0, "page %lu has changed", number);
}

/* Puts until refused. Returns how many pages went in. */
static uint64_t fill_up(uint64_t pool, uint64_t pages)
{
	uint64_t stored = 0;
	struct page_key key;
	int64_t err = 0;

	while (stored < pages && (err = put(pool, stored)) == 0)
		stored++;
	if (stored == pages) {
		test_error("%lu pages went in: give this guest a smaller tmem=", pages);
		test_finish();
	}
	CHECK_EQ(err, -TIDEPOOL_ENOMEM, "refused put of a new key");
	key = key_of(stored);
	CHECK_EQ(page_get(pool, &key, page), -TIDEPOOL_ENOENT, "get of the refused key");
	return stored;
}

/* A put on a key that holds a page: it is replaced, or it is gone. Returns whether it is there. */
static bool put_again(uint64_t pool, uint64_t number)
{
	struct page_key key = key_of(number);
	int64_t err = put(pool, number);

	if (err == 0) {
		expect_page(pool, number);
		return true;
	}
	CHECK_EQ(err, -TIDEPOOL_ENOSPC, "refused put on an existing key");
	CHECK_EQ(page_get(pool, &key, page), -TIDEPOOL_ENOENT, "get behind a refused second put");
	return false;
}

void test_main(void)
{
	uint64_t pages = cmdline_number("pages=", PAGES_DEFAULT);
	uint64_t stored, held, lost = 0;
	int64_t id, refused;

	tidepool_require();
	id = pool_new(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION);
	if (id < 0) {
		test_error("no pool: %ld", id);
		return;
	}
	refused = query(TIDEPOOL_QUERY_REFUSED);
	stored = fill_up((uint64_t)id, pages);
	print("full: %lu pages\n", stored);
	CHECK_EQ(query(TIDEPOOL_QUERY_REFUSED) - refused, 1, "counter of refused puts");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), stored, "counter of held pages");
	for (uint64_t i = 0; i < stored; i++)
		expect_page((uint64_t)id, i);

	for (uint64_t i = 0; i < stored && i < FREED; i++)
		lost += !put_again((uint64_t)id, i);
	held = stored - lost;
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), held, "held pages behind second puts");

	for (uint64_t i = stored - FREED; i < stored; i++) {
		struct page_key key = key_of(i);

		CHECK_EQ(page_flush((uint64_t)id, &key), 1, "flush");
	}
	for (uint64_t i = stored - FREED; i < stored; i++)
		CHECK_EQ(put((uint64_t)id, i), 0, "put where room was made");
	for (uint64_t i = FREED; i < stored; i++)
		expect_page((uint64_t)id, i);
	CHECK_EQ(pool_destroy((uint64_t)id), 0, "destroy");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), 0, "held pages at the end");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest whose "tmem=" cap is small puts more than it has room for.
 *
 * Persistent pages: it is refused; nothing that is stored suffers, a refused key holds nothing, and
 * room that was made can be used again. Ephemeral pages: its own make room, most of them the older
 * ones, for persistent ones too.
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

static uint64_t new_pool(uint64_t flags)
{
	int64_t pool = pool_new(flags);

	if (pool < 0) {
		test_error("no pool: %ld", pool);
		test_finish();
	}
	return (uint64_t)pool;
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

/* Returns how many pages the cap has room for. */
static uint64_t test_persistent(uint64_t pages)
{
	uint64_t pool = new_pool(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION);
	int64_t refused = query(TIDEPOOL_QUERY_REFUSED);
	uint64_t stored = fill_up(pool, pages), held, lost = 0;

	print("full: %lu pages\n", stored);
	CHECK_EQ(query(TIDEPOOL_QUERY_REFUSED) - refused, 1, "counter of refused puts");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), stored, "counter of held pages");
	for (uint64_t i = 0; i < stored; i++)
		expect_page(pool, i);

	for (uint64_t i = 0; i < stored && i < FREED; i++)
		lost += !put_again(pool, i);
	held = stored - lost;
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), held, "held pages behind second puts");

	for (uint64_t i = stored - FREED; i < stored; i++) {
		struct page_key key = key_of(i);

		CHECK_EQ(page_flush(pool, &key), 1, "flush");
	}
	for (uint64_t i = stored - FREED; i < stored; i++)
		CHECK_EQ(put(pool, i), 0, "put where room was made");
	for (uint64_t i = FREED; i < stored; i++)
		expect_page(pool, i);
	CHECK_EQ(pool_destroy(pool), 0, "destroy");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), 0, "held pages at the end");
	return stored;
}

/* How many of the pages with these numbers are there, each as it was put. A get takes it away. */
static uint64_t count_present(uint64_t pool, uint64_t first, uint64_t end)
{
	static uint64_t got[WORDS] __attribute__((aligned(4096)));
	uint64_t present = 0;

	for (uint64_t i = first; i < end; i++) {
		struct page_key key = key_of(i);
		int64_t err = page_get(pool, &key, got);

		if (err == -TIDEPOOL_ENOENT)
			continue;
		CHECK_EQ(err, 0, "get of an ephemeral page");
		fill(i);
		CHECK(memcmp(got, page, sizeof(page)) == 0, "ephemeral page %lu has changed", i);
		present++;
	}
	return present;
}

/* Twice as many ephemeral pages as there is room for, then persistent ones in their place. */
static void test_ephemeral(uint64_t room)
{
	uint64_t ephemeral = new_pool(TIDEPOOL_POOL_VERSION);
	uint64_t persistent = new_pool(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION);
	uint64_t held, older, newer;

	for (uint64_t i = 0; i < 2 * room; i++)
		CHECK_EQ(put(ephemeral, i), 0, "put of an ephemeral page");
	held = (uint64_t)query(TIDEPOOL_QUERY_HELD);
	/* what keeping track costs depends a little on the keys */
	CHECK(held <= room + room / 50, "%lu ephemeral pages where %lu have room", held, room);
	for (uint64_t i = 0; i < room / 2; i++)
		CHECK_EQ(put(persistent, i), 0,
			 "put of a persistent page in an ephemeral one's place");
	held = (uint64_t)query(TIDEPOOL_QUERY_HELD) - room / 2;
	older = count_present(ephemeral, 0, room);
	newer = count_present(ephemeral, room, 2 * room);
	print("full: %lu ephemeral pages left, %lu of them of the newer half\n", held, newer);
	CHECK_EQ(older + newer, held, "ephemeral pages that are left");
	/*
	 * Each lane of the store drops its oldest, not the oldest of all, and which page is in
	 * which lane is chance: two thirds as a rule, half once in thirty boots.
	 */
	CHECK(3 * newer > held, "%lu pages of the newer half, %lu of the older", newer, older);
	for (uint64_t i = 0; i < room / 2; i++)
		expect_page(persistent, i);
	CHECK_EQ(pool_destroy(ephemeral), 0, "destroy");
	CHECK_EQ(pool_destroy(persistent), 0, "destroy");
}

void test_main(void)
{
	tidepool_require();
	test_ephemeral(test_persistent(cmdline_number("pages=", PAGES_DEFAULT)));
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks that are handed back to the host while pages of all kinds are in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

#include <tidepool/abi.h>

#include "tests/unit/dedup_calls.h"
#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"
#include "tmem/client.h"
#include "tmem/frame.h"

#define BLOCKS	  6u /* the host's */
#define PAGES	  (BLOCKS * TMEM_FRAMES_PER_BLOCK)
#define STEPS_MAX 200000u

/* Pools of the guests that dedup_guest_create() makes. */
enum { KEPT, CACHE };

/* Repeat until blocks came, which the host keeps, or none can. Returns how many came. */
static uint64_t relinquish(uint64_t want)
{
	uint64_t got = 0;
	unsigned int steps;
	int64_t ret = 0;

	for (steps = 0; got < want && steps < STEPS_MAX && ret != -TIDEPOOL_ENOMEM; steps++) {
		uint64_t copies = model_host.copies, compressed = model_host.compressed;

		model_host.limit = model_host.live;
		ret = tmem_relinquish(want - got);
		assert_true(ret == 1 || ret == -TIDEPOOL_EAGAIN || ret == -TIDEPOOL_ENOMEM);
		/* A step is bounded. */
		assert_in_range(model_host.copies - copies, 0, 24);
		assert_in_range(model_host.compressed - compressed, 0, 24);
		got += ret == 1;
	}
	assert_true(steps < STEPS_MAX);
	assert_int_equal(tmem_relinquish(0), 0);
	return got;
}

/* Put pages until one is refused or @most are in. Returns how many are in. */
static uint64_t fill_up(struct tmem_client *guest, uint64_t pool, uint64_t first, uint64_t most)
{
	uint64_t n;

	for (n = 0; n < most && dedup_put_as(guest, pool, n, first + n) == 0; n++)
		;
	return n;
}

/* How many of @count ephemeral pages are there, each as it was put. */
static uint64_t count_left(struct tmem_client *guest, uint64_t first, uint64_t count)
{
	static uint64_t got[DEDUP_WORDS];
	uint64_t n, left = 0;

	for (n = 0; n < count; n++) {
		if (dedup_get_as(guest, CACHE, n))
			continue;
		left++;
		memcpy(got, dedup_page, sizeof(got));
		dedup_page_fill(first + n);
		assert_memory_equal(got, dedup_page, sizeof(got));
	}
	return left;
}

static void accounts_check(void)
{
	struct tmem_store_stats store;

	tmem_store_stats(&store);
	assert_int_equal(store.blocks, model_host.live);
}

/* Ephemeral pages make room, persistent ones move; nothing of these is lost. */
static void test_full_of_all(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_OFF);
	uint64_t i, kept = PAGES / 3, left;

	(void)state;
	model_host.limit = BLOCKS;
	/* Dealt out so that every block has pages of both kinds. */
	for (i = 0; i < kept; i++) {
		assert_int_equal(dedup_put_as(guest, CACHE, i, 2 * PAGES + i), 0);
		assert_int_equal(dedup_put_as(guest, KEPT, i, i), 0);
	}
	for (; i < PAGES; i++)
		assert_int_equal(dedup_put_as(guest, CACHE, i, 2 * PAGES + i), 0);
	assert_int_equal(model_host.live, BLOCKS);
	assert_int_equal(relinquish(2), 2);
	assert_int_equal(model_host.live, BLOCKS - 2);
	accounts_check();
	for (i = 0; i < kept; i++)
		dedup_expect_as(guest, KEPT, i, i);
	left = count_left(guest, 2 * PAGES, PAGES);
	assert_in_range(left, PAGES / 8, PAGES / 2);
	client_destroy(guest);
}

/* No more can be had than what persistent pages leave; a store that refused goes on as before. */
static void test_full_of_persistent(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_OFF);
	struct tmem_store_stats before, after;
	uint64_t kept, i;

	(void)state;
	model_host.limit = BLOCKS;
	kept = fill_up(guest, KEPT, 0, UINT64_MAX);
	tmem_store_stats(&before);
	assert_int_equal(relinquish(1), 0);
	tmem_store_stats(&after);
	assert_int_equal(after.blocks, before.blocks);
	assert_int_equal(after.pages_held, kept);
	assert_int_equal(after.pages_free, before.pages_free);
	for (i = 0; i < kept; i++)
		dedup_expect_as(guest, KEPT, i, i);
	/* Every other one goes: then half of the blocks can. */
	for (i = 0; i < kept; i += 2)
		dedup_flush_as(guest, KEPT, i);
	assert_in_range(relinquish(BLOCKS), 1, BLOCKS / 2);
	accounts_check();
	for (i = 1; i < kept; i += 2)
		dedup_expect_as(guest, KEPT, i, i);
	client_destroy(guest);
}

/* Equal pages of two guests, each content in one frame before and afterwards. */
static void test_shared(void **state)
{
	struct tmem_client *guests[2];
	uint64_t contents = 500, i, g, saved;

	(void)state;
	for (g = 0; g < 2; g++)
		guests[g] = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_GROUP);
	model_host.limit = BLOCKS;
	for (i = 0; i < 3 * contents; i++)
		for (g = 0; g < 2; g++)
			assert_int_equal(dedup_put_as(guests[g], KEPT, i, i % contents), 0);
	for (g = 0; g < 2; g++)
		for (i = 0; i < PAGES; i++)
			(void)dedup_put_as(guests[g], CACHE, i, (g + 2) * PAGES + i);
	saved = dedup_saved();
	assert_int_equal(model_host.live, BLOCKS);
	assert_int_equal(relinquish(2), 2);
	accounts_check();
	dedup_accounts_check(guests, 2);
	assert_in_range(dedup_saved(), saved * 95 / 100, saved);
	for (g = 0; g < 2; g++)
		for (i = 0; i < 3 * contents; i++)
			dedup_expect_as(guests[g], KEPT, i, i % contents);
	client_destroy(guests[0]);
	for (i = 0; i < 3 * contents; i++)
		dedup_expect_as(guests[1], KEPT, i, i % contents);
	client_destroy(guests[1]);
}

/* Blobs move into other frames of blobs. */
static void test_compressed(void **state)
{
	static const uint64_t none[2];
	const struct tmem_limits limits = {.cap = UINT64_MAX, .compress = true};
	struct tmem_client *guest = tmem_client_create(&limits);
	struct tmem_store_stats store;
	uint64_t kept = 2000, i;

	(void)state;
	assert_int_equal(tmem_pool_create(guest, PERSISTENT, none), KEPT);
	model_host.limit = BLOCKS;
	for (i = 0; i < kept; i++)
		assert_int_equal(dedup_put_as(guest, KEPT, i, i), 0);
	while (tmem_idle_step(true))
		;
	assert_true(model_host.compressed > 0);
	for (i = 0; i < kept; i += 2)
		dedup_flush_as(guest, KEPT, i);
	tmem_store_stats(&store);
	i = store.blocks;
	assert_in_range(relinquish(1), i > 2 ? 1 : 0, 1);
	accounts_check();
	for (i = 1; i < kept; i += 2)
		dedup_expect_as(guest, KEPT, i, i);
	client_destroy(guest);
}

/*
 * Deal @kept persistent pages of a guest out among others of all blocks, which go. @content: of
 * page n. The guest's cap is what it has, then, and all of it is persistent.
 */
static void scatter(struct tmem_client *guest, uint64_t kept, uint64_t (*content)(uint64_t n))
{
	struct tmem_client *other = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_OFF);
	uint64_t i;

	model_host.limit = BLOCKS;
	for (i = 0; i < PAGES; i++) {
		if (i < kept)
			assert_int_equal(dedup_put_as(guest, KEPT, i, content(i)), 0);
		(void)dedup_put_as(other, KEPT, i, i);
	}
	client_destroy(other);
	guest->cap = guest->charged;
}

/* Fail unless all blocks come but for one, and all pages are there, for @more frames at most. */
static void scattered_check(struct tmem_client *guest, uint64_t kept,
			    uint64_t (*content)(uint64_t n), uint64_t more)
{
	uint64_t blocks = model_host.live, i;

	assert_true(blocks > 2);
	assert_int_equal(relinquish(BLOCKS), blocks - 1);
	accounts_check();
	dedup_accounts_check(&guest, 1);
	assert_true(guest->charged <= guest->cap + more);
	for (i = 0; i < kept; i++)
		dedup_expect_as(guest, KEPT, i, content(i));
}

#define CONTENTS (PAGES / 12)

static uint64_t every_third(uint64_t n)
{
	return n % CONTENTS;
}

static uint64_t itself(uint64_t n)
{
	return n;
}

/*
 * A guest at its cap is lent what it takes to move the pages that share memory. Those that find no
 * place in its table share none afterwards.
 */
static void test_shared_at_cap(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_ALONE);

	(void)state;
	scatter(guest, PAGES / 4, every_third);
	scattered_check(guest, PAGES / 4, every_third, CONTENTS / 8);
	client_destroy(guest);
}

/* Likewise one whose pages are compressed. */
static void test_compressed_at_cap(void **state)
{
	static const uint64_t none[2];
	const struct tmem_limits limits = {.cap = UINT64_MAX, .compress = true};
	struct tmem_client *guest = tmem_client_create(&limits);

	(void)state;
	assert_int_equal(tmem_pool_create(guest, PERSISTENT, none), KEPT);
	scatter(guest, PAGES / 4, itself);
	while (tmem_idle_step(true))
		;
	assert_true(model_host.compressed > 0);
	guest->cap = guest->charged;
	scattered_check(guest, PAGES / 4, itself, 0);
	client_destroy(guest);
}

/* What it was lent when that is given up it gives back, page by page that it puts. */
static void test_lent(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_ALONE);
	uint64_t i, lent;

	(void)state;
	scatter(guest, PAGES / 4, every_third);
	guest->cap = UINT64_MAX;
	for (i = 0; i < 200; i++)
		assert_int_equal(dedup_put_as(guest, CACHE, i, PAGES + i), 0);
	guest->cap = guest->charged;
	for (i = 0; i < STEPS_MAX && guest->charged < guest->cap + 20; i++)
		assert_int_not_equal(tmem_relinquish(2), -TIDEPOOL_ENOMEM);
	assert_int_equal(tmem_relinquish(0), 0);
	lent = guest->charged - guest->cap;
	assert_in_range(lent, 20, 40);
	for (i = 0; i < lent; i++) {
		assert_int_equal(dedup_put_as(guest, CACHE, PAGES + i, 2 * PAGES + i), 0);
		assert_true(guest->charged <= guest->cap + lent - i);
	}
	assert_true(guest->charged <= guest->cap + 1);
	for (i = 0; i < PAGES / 4; i++)
		dedup_expect_as(guest, KEPT, i, every_third(i));
	client_destroy(guest);
}

/* Metadata is together, also what comes when there is no frame but those of pages. */
static void test_metadata(void **state)
{
	const uint64_t blocks = 32, pages = blocks * TMEM_FRAMES_PER_BLOCK;
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_OFF);
	struct tmem_store_stats store;
	uint64_t i;

	(void)state;
	model_host.limit = blocks;
	for (i = 0; i < pages; i++)
		assert_int_equal(dedup_put_as(guest, CACHE, i, i), 0);
	/* Each of these has an object to itself: twice the records. */
	for (i = 0; i < 2 * pages; i++)
		assert_int_equal(dedup_put_as(guest, CACHE, 16 * (pages + i), i), 0);
	assert_int_equal(model_host.live, blocks);
	while (tmem_client_evict(guest, 64))
		;
	assert_in_range(relinquish(blocks), blocks - 5, blocks - 1);
	accounts_check();
	/* What is kept free for metadata is there for pages before one is refused. */
	model_host.limit = blocks;
	assert_in_range(fill_up(guest, KEPT, 0, UINT64_MAX), pages * 95 / 100, pages);
	tmem_store_stats(&store);
	assert_in_range(store.pages_free, 0, MODEL_HOST_CPUS);
	client_destroy(guest);
}

/* What is promised to a guest stays its own, also when it holds nothing yet. */
static void test_reserve(void **state)
{
	const uint64_t reserve = 2 * TMEM_FRAMES_PER_BLOCK;
	struct tmem_client *owner = dedup_guest_create(UINT64_MAX, reserve, TMEM_DEDUP_OFF);
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_OFF);
	uint64_t i, kept;

	(void)state;
	model_host.limit = BLOCKS;
	for (i = 0; i < PAGES; i++)
		assert_int_equal(dedup_put_as(guest, CACHE, i, i), 0);
	assert_in_range(relinquish(BLOCKS), 1, BLOCKS - 2);
	accounts_check();
	model_host.limit = 0;
	kept = fill_up(owner, KEPT, 0, UINT64_MAX);
	/* Its records of pages are in it. */
	assert_in_range(kept, reserve * 95 / 100, PAGES);
	for (i = 0; i < kept; i++)
		dedup_expect_as(owner, KEPT, i, i);
	client_destroy(owner);
	client_destroy(guest);
}

/* A guest that goes while its pages are being moved. */
static void test_given_up(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_ALONE);
	unsigned int i;

	(void)state;
	model_host.limit = BLOCKS;
	(void)fill_up(guest, KEPT, 0, UINT64_MAX);
	for (i = 0; i < 5; i++)
		assert_int_equal(tmem_relinquish(3), -TIDEPOOL_EAGAIN);
	client_destroy(guest);
	assert_in_range(relinquish(BLOCKS), 0, BLOCKS);
	accounts_check();
}

/* Who never comes back keeps no blocks sealed: idle CPUs see to that, but not while he comes. */
static void test_forgotten(void **state)
{
	struct tmem_client *guest = dedup_guest_create(UINT64_MAX, 0, TMEM_DEDUP_OFF);
	unsigned int i, idle;

	(void)state;
	model_host.limit = BLOCKS;
	(void)fill_up(guest, KEPT, 0, UINT64_MAX);
	for (i = 0; i < 5; i++) {
		assert_int_equal(tmem_relinquish(3), -TIDEPOOL_EAGAIN);
		/* One block is chosen a step. */
		assert_int_equal(tmem_frame_sealed(), i < 3 ? i + 1 : 3);
	}
	for (i = 0; i < 4; i++) {
		for (idle = 0; idle < 900; idle++)
			(void)tmem_idle_step(false);
		assert_int_equal(tmem_frame_sealed(), 3);
		assert_int_equal(tmem_relinquish(3), -TIDEPOOL_EAGAIN);
	}
	for (idle = 0; idle < 1100; idle++)
		(void)tmem_idle_step(false);
	assert_int_equal(tmem_frame_sealed(), 0);
	client_destroy(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_full_of_all),
		STORE_TEST(test_full_of_persistent),
		STORE_TEST(test_shared),
		STORE_TEST(test_compressed),
		STORE_TEST(test_reserve),
		STORE_TEST(test_given_up),
		STORE_TEST(test_forgotten),
		STORE_TEST(test_shared_at_cap),
		STORE_TEST(test_compressed_at_cap),
		STORE_TEST(test_lent),
		STORE_TEST(test_metadata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

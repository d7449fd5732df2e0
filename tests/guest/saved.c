/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest whose pages in the store are saved ("source"), and one that gets them ("target"), by the
 * guest of manager.c. The pool "signal" tells when.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/pages.h"
#include "tests/guest/lib/test.h"

#define PAGES	   40u
#define DROPPED	   10u /* while they are being saved; perhaps */
#define READY	   1u  /* pages of "signal" */
#define DONE	   2u
#define PERSISTENT (TIDEPOOL_POOL_VERSION | TIDEPOOL_POOL_PERSISTENT)
#define WAIT_TICKS 60000000000ull /* for the other guests, which start when they can */

const char test_name[] = "saved";

static uint64_t page[TIDEPOOL_PAGE_SIZE / 8] __attribute__((aligned(4096)));
static uint64_t *const huge = (uint64_t *)0x800000; /* above all that the kernel takes */

static int64_t huge_do(uint64_t op)
{
	const struct page_key key = {{0, 0, 0}, 0};
	uint64_t cookie = 0;
	int64_t ret;

	do {
		ret = page_call(op, 2, &key, huge, cookie);
		if (ret > 0)
			cookie = (uint64_t)ret;
	} while (ret > 0 || ret == -TIDEPOOL_EAGAIN);
	return ret;
}

static void source(void)
{
	struct page_key key = {{1, 2, 3}, 0}, ready = {{4, 5, 6}, READY}, done = {{4, 5, 6}, DONE};
	const struct page_key probe = {{9, 9, 9}, 9};
	uint64_t signal;

	CHECK_EQ(pool_new(PERSISTENT), 0, "new pool");
	CHECK_EQ(pool_new(TIDEPOOL_POOL_VERSION), 1, "new pool");
	CHECK_EQ(pool_new(PERSISTENT | 9ull << TIDEPOOL_POOL_ORDER_SHIFT), 2, "new pool");
	signal = (uint64_t)shared_open("signal", TIDEPOOL_POOL_PERSISTENT);
	for (; key.index < PAGES; key.index++) {
		pages_fill(page, sizeof(page), key.index * 1000);
		if (key.index % 4 == 0)
			memset(page, (int)key.index, sizeof(page));
		CHECK_EQ(page_put(0, &key, page), 0, "put");
		CHECK_EQ(page_put(1, &key, page), 0, "put into the ephemeral pool");
	}
	pages_fill(huge, TIDEPOOL_HUGE_SIZE, 77);
	CHECK_EQ(huge_do(TIDEPOOL_OP_PUT_PAGE), 0, "put of 2 MiB");
	CHECK_EQ(hypercall(TIDEPOOL_OP_MANAGE, TIDEPOOL_MANAGE_FIND, 0, 0, 0, 0, 0),
		 -TIDEPOOL_EPERM, "a manager's call by a guest that is none");
	CHECK_EQ(page_put(signal, &ready, page), 0, "say that all is there");

	/* From now on it may be frozen at any time; its pages still go when it says so. */
	key.index = 0;
	while (page_get(signal, &done, page) == -TIDEPOOL_ENOENT) {
		int64_t err = page_put(0, &probe, page);

		CHECK(err == 0 || err == -TIDEPOOL_EFROZEN, "put: %ld", err);
		if (err == -TIDEPOOL_EFROZEN && key.index < DROPPED) {
			CHECK_EQ(page_flush(0, &key), 1, "flush by a frozen guest");
			key.index++;
		}
		(void)page_flush(0, &probe);
	}
	CHECK(key.index > 0, "it was never frozen");
}

/* Pools appear, and when the guest may put again all of them are there. */
static void wait_for_pools(const struct page_key *last)
{
	const struct page_key probe = {{9, 9, 9}, 9};
	uint64_t end = rdtsc() + WAIT_TICKS;

	while (page_get(0, last, page) < 0 || page_put(0, &probe, page) < 0) {
		if (rdtsc() > end) {
			test_failure("no pools were restored");
			test_finish();
		}
		__asm__ volatile("pause");
	}
}

static void target(void)
{
	struct page_key key = {{1, 2, 3}, PAGES - 1};
	uint64_t there = 0;

	wait_for_pools(&key);
	for (key.index = 0; key.index < PAGES; key.index++) {
		int64_t err = page_get(0, &key, page);

		if (err == -TIDEPOOL_ENOENT && key.index < DROPPED)
			continue;
		CHECK_EQ(err, 0, "get of a restored page");
		if (key.index % 4)
			CHECK(pages_hold(page, sizeof(page), key.index * 1000),
			      "restored page %lu has other content", key.index);
		else
			CHECK_EQ(page[511], key.index * 0x0101010101010101, "restored filled page");
		CHECK_EQ(page_get(1, &key, page), -TIDEPOOL_ENOENT,
			 "get from an ephemeral pool that was restored");
		there++;
	}
	CHECK(there >= PAGES - DROPPED, "%lu pages are there", there);
	memset(huge, 0, TIDEPOOL_HUGE_SIZE);
	CHECK_EQ(huge_do(TIDEPOOL_OP_GET_PAGE), 0, "get of 2 MiB");
	CHECK(pages_hold(huge, TIDEPOOL_HUGE_SIZE, 77), "restored 2 MiB have other content");
	CHECK_EQ(pool_new(PERSISTENT), 3, "new pool behind the restored ones");
}

void test_main(void)
{
	tidepool_require();
	if (cmdline_has("source"))
		source();
	else
		target();
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared pools between guests: "base", which the guest with the word "write" fills and the one with
 * "read" only reads, and "answer", where it is the other way round. A guest without either word
 * was granted nothing, and knows the names.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/pages.h"
#include "tests/guest/lib/test.h"

#define PAGES 50u

const char test_name[] = "shared";

static uint64_t page[TIDEPOOL_PAGE_SIZE / 8] __attribute__((aligned(4096)));

static void put_all(uint64_t pool, uint64_t seed)
{
	struct page_key key = {{4, 5, 6}, 0};

	for (; key.index < PAGES; key.index++) {
		pages_fill(page, sizeof(page), seed + key.index);
		CHECK_EQ(page_put(pool, &key, page), 0, "put into a shared pool");
	}
}

static void get_all(uint64_t pool, uint64_t seed)
{
	struct page_key key = {{4, 5, 6}, 0};

	shared_wait(pool, PAGES - 1, page);
	for (; key.index < PAGES; key.index++) {
		CHECK_EQ(page_get(pool, &key, page), 0, "get from a shared pool");
		CHECK(pages_hold(page, sizeof(page), seed + key.index),
		      "page %lu is not what the other guest put", key.index);
		CHECK_EQ(page_get(pool, &key, page), 0, "a get keeps a shared page");
		CHECK_EQ(page_put(pool, &key, page), -TIDEPOOL_EPERM, "put by a reader");
		CHECK_EQ(page_flush(pool, &key), -TIDEPOOL_EPERM, "flush by a reader");
	}
	CHECK_EQ(object_flush(pool, &key), -TIDEPOOL_EPERM, "flush object by a reader");
}

static void refused_all(void)
{
	CHECK_EQ(shared_open("base", 0), -TIDEPOOL_EPERM, "a pool that was not granted");
	CHECK_EQ(shared_open("answer", TIDEPOOL_POOL_PERSISTENT), -TIDEPOOL_EPERM,
		 "a persistent pool that was not granted");
	CHECK_EQ(shared_open("", 0), -TIDEPOOL_EPERM, "a pool without a name");
}

void test_main(void)
{
	bool writes = cmdline_has("write");
	int64_t base, answer;

	tidepool_require();
	if (!writes && !cmdline_has("read")) {
		refused_all();
		return;
	}
	base = shared_open("base", 0);
	answer = shared_open("answer", TIDEPOOL_POOL_PERSISTENT);
	CHECK_EQ(base, 0, "open base");
	CHECK_EQ(answer, 1, "open answer");
	CHECK_EQ(shared_open("base", 0), 0, "open base again");
	CHECK_EQ(shared_open("base", TIDEPOOL_POOL_PERSISTENT), -TIDEPOOL_EPERM,
		 "base as another kind of pool");
	CHECK_EQ(shared_open("nothing", 0), -TIDEPOOL_EPERM, "a pool that is none");
	if (writes) {
		put_all((uint64_t)base, 1000);
		get_all((uint64_t)answer, 2000);
	} else {
		get_all((uint64_t)base, 1000);
		put_all((uint64_t)answer, 2000);
		/* The other one checks them when this guest has gone. */
	}
	CHECK_EQ(pool_destroy((uint64_t)base), 0, "close base");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), 0, "pages charged to a member");
}

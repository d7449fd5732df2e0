/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared pools between guests: "base", which the guest with the word "write" fills and the one with
 * "read" only reads, and "answer", where it is the other way round. A guest without either word
 * was granted nothing, and knows the names.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define SHARED	   (TIDEPOOL_POOL_VERSION | TIDEPOOL_POOL_SHARED)
#define PAGES	   50u
#define WAIT_TICKS 60000000000ull /* for the other guest, which starts when it can */

const char test_name[] = "shared";

static uint64_t page[TIDEPOOL_PAGE_SIZE / 8] __attribute__((aligned(4096)));

static int64_t shared_open(const char *name, uint64_t flags)
{
	union {
		char text[16];
		uint64_t words[2];
	} uuid = {.words = {0, 0}};

	for (size_t i = 0; name[i]; i++)
		uuid.text[i] = name[i];
	return hypercall(TIDEPOOL_OP_NEW_POOL, flags, uuid.words[0], uuid.words[1], 0, 0, 0);
}

static void fill(uint64_t seed)
{
	for (size_t i = 0; i < TIDEPOOL_PAGE_SIZE / 8; i++)
		page[i] = (seed + i) * 0x9e3779b97f4a7c15;
}

static bool holds(uint64_t seed)
{
	for (size_t i = 0; i < TIDEPOOL_PAGE_SIZE / 8; i++)
		if (page[i] != (seed + i) * 0x9e3779b97f4a7c15)
			return false;
	return true;
}

/* Wait until the other one has put the last page. */
static void wait_for(uint64_t pool, uint64_t index)
{
	struct page_key key = {{4, 5, 6}, index};
	uint64_t end = rdtsc() + WAIT_TICKS;

	while (page_get(pool, &key, page) == -TIDEPOOL_ENOENT) {
		if (rdtsc() > end) {
			test_failure("the other guest's page %lu did not come", index);
			test_finish();
		}
		__asm__ volatile("pause");
	}
}

static void put_all(uint64_t pool, uint64_t seed)
{
	struct page_key key = {{4, 5, 6}, 0};

	for (; key.index < PAGES; key.index++) {
		fill(seed + key.index);
		CHECK_EQ(page_put(pool, &key, page), 0, "put into a shared pool");
	}
}

static void get_all(uint64_t pool, uint64_t seed)
{
	struct page_key key = {{4, 5, 6}, 0};

	wait_for(pool, PAGES - 1);
	for (; key.index < PAGES; key.index++) {
		CHECK_EQ(page_get(pool, &key, page), 0, "get from a shared pool");
		CHECK(holds(seed + key.index), "page %lu is not what the other guest put",
		      key.index);
		CHECK_EQ(page_get(pool, &key, page), 0, "a get keeps a shared page");
		CHECK_EQ(page_put(pool, &key, page), -TIDEPOOL_EPERM, "put by a reader");
		CHECK_EQ(page_flush(pool, &key), -TIDEPOOL_EPERM, "flush by a reader");
	}
	CHECK_EQ(object_flush(pool, &key), -TIDEPOOL_EPERM, "flush object by a reader");
}

static void refused_all(void)
{
	CHECK_EQ(shared_open("base", SHARED), -TIDEPOOL_EPERM, "a pool that was not granted");
	CHECK_EQ(shared_open("answer", SHARED | TIDEPOOL_POOL_PERSISTENT), -TIDEPOOL_EPERM,
		 "a persistent pool that was not granted");
	CHECK_EQ(shared_open("", SHARED), -TIDEPOOL_EPERM, "a pool without a name");
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
	base = shared_open("base", SHARED);
	answer = shared_open("answer", SHARED | TIDEPOOL_POOL_PERSISTENT);
	CHECK_EQ(base, 0, "open base");
	CHECK_EQ(answer, 1, "open answer");
	CHECK_EQ(shared_open("base", SHARED), 0, "open base again");
	CHECK_EQ(shared_open("base", SHARED | TIDEPOOL_POOL_PERSISTENT), -TIDEPOOL_EPERM,
		 "base as another kind of pool");
	CHECK_EQ(shared_open("nothing", SHARED), -TIDEPOOL_EPERM, "a pool that is none");
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

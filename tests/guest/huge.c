/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages of 2 MiB as docs/abi.md promises them: in steps, by calls and by vectors. */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define HUGE	  (TIDEPOOL_POOL_VERSION | 9ull << TIDEPOOL_POOL_ORDER_SHIFT)
#define WORDS	  (TIDEPOOL_HUGE_SIZE / 8)
#define CALLS_MAX 40u /* of a put that replaces; far more than it takes */

const char test_name[] = "huge";

/* Two pages of the guest's RAM, above all that its kernel takes. */
static uint64_t *const in = (uint64_t *)0x800000;
static uint64_t *const out = (uint64_t *)0xa00000;

static const struct page_key key = {{1, 2, 3}, 4};

static void fill(uint64_t seed)
{
	for (uint64_t n = 0; n < WORDS; n++)
		in[n] = seed << 32 | n;
}

static bool holds(uint64_t seed)
{
	for (uint64_t n = 0; n < WORDS; n++)
		if (out[n] != (seed << 32 | n))
			return false;
	return true;
}

static int64_t step(uint64_t op, uint64_t pool, uint64_t frame, uint64_t cookie)
{
	return page_call(op, pool, &key, (const void *)(frame * TIDEPOOL_PAGE_SIZE), cookie);
}

/* A whole operation, in as many calls as it takes. */
static int64_t whole(uint64_t op, uint64_t pool, const void *page)
{
	uint64_t cookie = 0;
	int64_t ret = -TIDEPOOL_EAGAIN;

	for (unsigned int i = 0; ret == -TIDEPOOL_EAGAIN || ret > 1; i++) {
		if (i == CALLS_MAX) {
			test_failure("operation %lu does not come to an end", op);
			break;
		}
		ret = step(op, pool, (uint64_t)page / TIDEPOOL_PAGE_SIZE, cookie);
		if (ret > 1)
			cookie = (uint64_t)ret;
	}
	return ret;
}

static void expect(uint64_t pool, uint64_t seed, const char *what)
{
	memset(out, 0, TIDEPOOL_HUGE_SIZE);
	CHECK_EQ(whole(TIDEPOOL_OP_GET_PAGE, pool, out), 0, what);
	CHECK(holds(seed), "%s: other content than was put", what);
}

static void test_persistent(uint64_t pool)
{
	CHECK_EQ(whole(TIDEPOOL_OP_GET_PAGE, pool, out), -TIDEPOOL_ENOENT, "get of nothing");
	fill(10);
	CHECK_EQ(whole(TIDEPOOL_OP_PUT_PAGE, pool, in), 0, "put");
	expect(pool, 10, "get");
	expect(pool, 10, "get again");
	fill(11);
	CHECK_EQ(whole(TIDEPOOL_OP_PUT_PAGE, pool, in), 0, "put over a page");
	expect(pool, 11, "get of the second page");
	CHECK(query(TIDEPOOL_QUERY_HELD) > 512, "pages held: %ld", query(TIDEPOOL_QUERY_HELD));
	CHECK_EQ(whole(TIDEPOOL_OP_FLUSH_PAGE, pool, NULL), 1, "flush");
	CHECK_EQ(whole(TIDEPOOL_OP_FLUSH_PAGE, pool, NULL), 0, "flush of what is gone");
	CHECK_EQ(whole(TIDEPOOL_OP_GET_PAGE, pool, out), -TIDEPOOL_ENOENT, "get behind a flush");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), 0, "pages held behind a flush");
	out[0] = 1;
	CHECK_EQ(whole(TIDEPOOL_OP_NEW_PAGE, pool, NULL), 0, "new page");
	CHECK_EQ(whole(TIDEPOOL_OP_GET_PAGE, pool, out), 0, "get of a new page");
	for (uint64_t n = 0; n < WORDS; n++)
		if (out[n]) {
			test_failure("a new page is not zero at word %lu", n);
			break;
		}
}

static void test_ephemeral(uint64_t pool)
{
	int64_t cookie;

	fill(20);
	CHECK_EQ(whole(TIDEPOOL_OP_PUT_PAGE, pool, in), 0, "ephemeral: put");
	expect(pool, 20, "ephemeral: get");
	CHECK_EQ(whole(TIDEPOOL_OP_GET_PAGE, pool, out), -TIDEPOOL_ENOENT, "ephemeral: get again");
	cookie = step(TIDEPOOL_OP_PUT_PAGE, pool, (uint64_t)in / TIDEPOOL_PAGE_SIZE, 0);
	CHECK(cookie > 1, "first step of a put: %ld", cookie);
	CHECK_EQ(whole(TIDEPOOL_OP_GET_PAGE, pool, out), -TIDEPOOL_ENOENT,
		 "get of a page under construction");
	CHECK_EQ(whole(TIDEPOOL_OP_FLUSH_PAGE, pool, NULL), 0, "flush of it");
	CHECK_EQ(step(TIDEPOOL_OP_PUT_PAGE, pool, (uint64_t)in / TIDEPOOL_PAGE_SIZE,
		      (uint64_t)cookie),
		 -TIDEPOOL_ENOSPC, "second step of a put whose page was flushed");
}

static void test_bad(uint64_t pool)
{
	uint64_t frame = (uint64_t)in / TIDEPOOL_PAGE_SIZE;
	uint64_t end = ram_bytes() / TIDEPOOL_PAGE_SIZE;

	CHECK_EQ(step(TIDEPOOL_OP_PUT_PAGE, pool, frame + 1, 0), -TIDEPOOL_EFAULT,
		 "put of a frame that is not aligned");
	CHECK_EQ(step(TIDEPOOL_OP_GET_PAGE, pool, end, 0), -TIDEPOOL_EFAULT, "get into no RAM");
	CHECK_EQ(step(TIDEPOOL_OP_PUT_PAGE, pool, frame, 7), -TIDEPOOL_EINVAL, "a bad cookie");
	CHECK_EQ(step(TIDEPOOL_OP_READ, pool, frame, TIDEPOOL_HUGE_SPAN(512, 1, 0, 0)),
		 -TIDEPOOL_EINVAL, "read of a part that is none");
	CHECK_EQ(step(TIDEPOOL_OP_READ, pool, end, TIDEPOOL_HUGE_SPAN(511, 1, 0, 0)),
		 -TIDEPOOL_EFAULT, "read of a part into no RAM");
	CHECK_EQ(step(TIDEPOOL_OP_FLUSH_RANGE, pool, 1ull << 34, 0), -TIDEPOOL_EINVAL,
		 "flush of a range that goes too far");
}

/* A word of a part, by each of the operations on parts, and a range. */
static void test_parts(uint64_t pool)
{
	const uint64_t span = TIDEPOOL_HUGE_SPAN(300, 8, 16, 0), n = 300 * 512 + 2;
	uint64_t frame = (uint64_t)out / TIDEPOOL_PAGE_SIZE;
	int64_t ret;

	fill(40);
	CHECK_EQ(whole(TIDEPOOL_OP_PUT_PAGE, pool, in), 0, "put of what is changed");
	CHECK_EQ(step(TIDEPOOL_OP_READ, pool, frame, span), 0, "read of a part");
	CHECK_EQ(out[0], 40ull << 32 | n, "word that was read");
	out[0] = 5;
	CHECK_EQ(step(TIDEPOOL_OP_XCHG, pool, frame, span), 0, "exchange of a part");
	CHECK_EQ(out[0], 40ull << 32 | n, "word that was exchanged");
	CHECK_EQ(step(TIDEPOOL_OP_READ, pool, frame, span), 0, "read of what was exchanged");
	CHECK_EQ(out[0], 5, "word behind the exchange");
	out[0] = 40ull << 32 | n;
	CHECK_EQ(step(TIDEPOOL_OP_WRITE, pool, frame, span), 0, "write of a part");
	expect(pool, 40, "get behind a write");
	do
		ret = step(TIDEPOOL_OP_FLUSH_RANGE, pool, 2, 0);
	while (ret == -TIDEPOOL_EAGAIN);
	CHECK_EQ(ret, 1, "flush of a range: how far it came, to behind its first page");
	CHECK_EQ(step(TIDEPOOL_OP_WRITE, pool, frame, span), -TIDEPOOL_ENOENT, "write to nothing");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), 0, "pages held behind a range");
}

/* A step of a put ends a vector; the guest goes on with its result as the span. */
static void test_vector(uint64_t pool)
{
	static struct tidepool_descriptor list[2] __attribute__((aligned(64)));
	unsigned int calls = 0;

	fill(30);
	list[0] = (struct tidepool_descriptor){
		.op = TIDEPOOL_OP_PUT_PAGE,
		.pool = (unsigned int)pool,
		.oid = {key.oid[0], key.oid[1], key.oid[2]},
		.index = key.index,
		.frame = (uint64_t)in / TIDEPOOL_PAGE_SIZE,
	};
	list[1] = list[0];
	list[1].result = 77;
	do {
		CHECK_EQ(hypercall(TIDEPOOL_OP_VECTOR, (uint64_t)list, 2, 0, 0, 0, 0), 1,
			 "vector with a page of 2 MiB");
		if (list[0].result > 0)
			list[0].span = (uint64_t)list[0].result;
	} while ((list[0].result > 0 || list[0].result == -TIDEPOOL_EAGAIN) && calls++ < CALLS_MAX);
	CHECK_EQ(list[0].result, 0, "put in a vector");
	CHECK_EQ(list[1].result, 77, "descriptor that is not done");
	expect(pool, 30, "get behind a vector");
	list[0].op = TIDEPOOL_OP_GET_PAGE;
	CHECK_EQ(hypercall(TIDEPOOL_OP_VECTOR, (uint64_t)list, 1, TIDEPOOL_VECTOR_ALL, 0, 0, 0),
		 -TIDEPOOL_EINVAL, "all or nothing");
}

void test_main(void)
{
	int64_t persistent, ephemeral;

	tidepool_require();
	persistent = pool_new(HUGE | TIDEPOOL_POOL_PERSISTENT);
	ephemeral = pool_new(HUGE);
	CHECK(persistent >= 0 && ephemeral >= 0, "new pools: %ld and %ld", persistent, ephemeral);
	test_persistent((uint64_t)persistent);
	test_ephemeral((uint64_t)ephemeral);
	CHECK_EQ(whole(TIDEPOOL_OP_FLUSH_PAGE, (uint64_t)persistent, NULL), 1, "flush");
	test_parts((uint64_t)persistent);
	test_bad((uint64_t)persistent);
	test_vector((uint64_t)persistent);
	CHECK_EQ(pool_destroy((uint64_t)persistent), 0, "destroy");
	CHECK_EQ(pool_destroy((uint64_t)ephemeral), 0, "destroy");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), 0, "pages held at the end");
}

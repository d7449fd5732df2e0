/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ABI as docs/abi.md promises it: discovery, every operation's meaning, the coherence rules,
 * the counters, and that a call changes no register but RAX.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define PERSISTENT   (TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION)
#define EPHEMERAL    TIDEPOOL_POOL_VERSION
#define OBJECT_PAGES 40
#define VECTOR_PAGES 8

/* Flags of RFLAGS that arithmetic sets, and the direction flag. */
#define RFLAGS_ONE	  0x002
#define RFLAGS_ARITHMETIC 0x8d5
#define RFLAGS_DF	  0x400

const char test_name[] = "abi";

static uint64_t page_in[TIDEPOOL_PAGE_SIZE / 8] __attribute__((aligned(4096)));
static uint64_t page_out[TIDEPOOL_PAGE_SIZE / 8] __attribute__((aligned(4096)));

/* A page whose every word depends on @seed. */
static void fill(uint64_t *page, uint64_t seed)
{
	for (size_t i = 0; i < TIDEPOOL_PAGE_SIZE / 8; i++)
		page[i] = (seed + i) * 0x9e3779b97f4a7c15;
}

static bool holds(const uint64_t *page, uint64_t seed)
{
	for (size_t i = 0; i < TIDEPOOL_PAGE_SIZE / 8; i++) {
		if (page[i] != (seed + i) * 0x9e3779b97f4a7c15)
			return false;
	}
	return true;
}

static int64_t put_seed(uint64_t pool, const struct page_key *key, uint64_t seed)
{
	fill(page_in, seed);
	return page_put(pool, key, page_in);
}

/* The page under @key is there and is the one of @seed. */
static void expect_page(uint64_t pool, const struct page_key *key, uint64_t seed, const char *what)
{
	memset(page_out, 0xee, sizeof(page_out));
	CHECK_EQ(page_get(pool, key, page_out), 0, what);
	CHECK(holds(page_out, seed), "%s: other content than was put", what);
}

/* Nothing is under @key, and the frame for it is not touched. */
static void expect_absent(uint64_t pool, const struct page_key *key, const char *what)
{
	fill(page_out, 0xabcdef);
	CHECK_EQ(page_get(pool, key, page_out), -TIDEPOOL_ENOENT, what);
	CHECK(holds(page_out, 0xabcdef), "%s: a get without a page wrote to the frame", what);
}

/* A pool that a test needs; without it there is nothing more to find out. */
static uint64_t new_pool(uint64_t flags)
{
	int64_t pool = pool_new(flags);

	if (pool < 0 || pool >= (int64_t)TIDEPOOL_MAX_POOLS) {
		test_failure("new pool, flags 0x%lx: %ld", flags, pool);
		test_finish();
	}
	return (uint64_t)pool;
}

static int64_t vector(const struct tidepool_descriptor *list, uint64_t count, uint64_t flags)
{
	return hypercall(TIDEPOOL_OP_VECTOR, (uint64_t)list, count, flags, 0, 0, 0);
}

/* A whole list, in as many calls as it takes. */
static void vector_do(const struct tidepool_descriptor *list, uint64_t count)
{
	while (count > 0) {
		int64_t done = vector(list, count, 0);

		CHECK(done > 0 && done <= (int64_t)count, "vector of %lu: %ld", count, done);
		if (done <= 0)
			return;
		list += done;
		count -= (uint64_t)done;
	}
}

static void test_discovery(void)
{
	uint32_t base = tidepool_base();
	struct cpuid_regs first = cpuid(base, 0);
	struct cpuid_regs version = cpuid(base + TIDEPOOL_CPUID_VERSION, 0);

	CHECK(first.eax >= base + TIDEPOOL_CPUID_VERSION, "leaf 0x%x names 0x%x as the last one",
	      base, first.eax);
	CHECK_EQ(version.eax, TIDEPOOL_ABI_VERSION, "version in CPUID");
	CHECK_EQ(version.ebx, TIDEPOOL_FEATURES, "features in CPUID");
	CHECK_EQ(version.ecx, TIDEPOOL_MAX_POOLS, "pools in CPUID");
	CHECK_EQ(version.edx, 0, "reserved register in CPUID");
	CHECK_EQ(hypercall(TIDEPOOL_OP_NULL, 1, 2, 3, 4, 5, 6), TIDEPOOL_ABI_VERSION, "null call");
}

/* Only the vendor's own instruction is a call. */
static void test_other_vendor(void)
{
	uint64_t rax = TIDEPOOL_CALL(TIDEPOOL_OP_NULL);

	trap_vector = NO_VECTOR;
	if (cpu_is_amd())
		__asm__ volatile(FIXUP("vmcall") : "+a"(rax) : : "memory");
	else
		__asm__ volatile(FIXUP("vmmcall") : "+a"(rax) : : "memory");
	CHECK_EQ(trap_vector, VECTOR_UD, "exception of the other vendor's instruction");
	CHECK_EQ(rax, TIDEPOOL_CALL(TIDEPOOL_OP_NULL), "RAX behind it");
}

static void test_reserved_operations(void)
{
	static const uint64_t reserved[] = {13, 14, 15, TIDEPOOL_OP_COUNT, 0xffff};
	static const uint64_t foreign[] = {
		0,
		1,
		11,
		16,
		0x54510000,
		0x54500000ull << 32,
		UINT64_MAX,
		1ull << 63 | TIDEPOOL_CALL(TIDEPOOL_OP_NULL),
		1ull << 32 | TIDEPOOL_CALL(TIDEPOOL_OP_NULL),
	};

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		CHECK_EQ(hypercall(reserved[i], 0, 0, 0, 0, 0, 0), -TIDEPOOL_ENOSYS,
			 "reserved operation");
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		struct call_regs regs = {.rax = foreign[i], .rflags = RFLAGS_ONE};

		hypercall_regs(&regs);
		CHECK_EQ(regs.rax, NOT_OUR_CALL, "call without the magic");
	}
}

static void test_pool_flags(void)
{
	CHECK_EQ(pool_new(0), -TIDEPOOL_EINVAL, "new pool of version 0");
	CHECK_EQ(pool_new(2ull << TIDEPOOL_POOL_VERSION_SHIFT), -TIDEPOOL_EINVAL,
		 "new pool of version 2");
	CHECK_EQ(pool_new(EPHEMERAL | 1ull << TIDEPOOL_POOL_ORDER_SHIFT), -TIDEPOOL_EINVAL,
		 "new pool of 8 KiB pages");
	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t known = TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_SHARED |
				 TIDEPOOL_POOL_ORDER_MASK | TIDEPOOL_POOL_VERSION_MASK;

		if (!(known & 1ull << bit))
			CHECK_EQ(pool_new(PERSISTENT | 1ull << bit), -TIDEPOOL_EINVAL,
				 "new pool with a reserved flag");
	}
	CHECK_EQ(pool_new(PERSISTENT | TIDEPOOL_POOL_SHARED), -TIDEPOOL_EPERM,
		 "shared pool that nobody granted");
}

static void test_persistent(void)
{
	const struct page_key key = {{1, 2, 3}, 4};
	uint64_t pool = new_pool(PERSISTENT);

	expect_absent(pool, &key, "get from an empty pool");
	CHECK_EQ(put_seed(pool, &key, 100), 0, "put");
	expect_page(pool, &key, 100, "get");
	expect_page(pool, &key, 100, "second get: a persistent page stays");
	CHECK_EQ(put_seed(pool, &key, 200), 0, "put on an existing key");
	expect_page(pool, &key, 200, "put-put-get: the second page");
	CHECK_EQ(page_flush(pool, &key), 1, "flush");
	CHECK_EQ(page_flush(pool, &key), 0, "flush of what is gone");
	expect_absent(pool, &key, "get behind a flush");
	expect_absent(pool, &key, "get behind a failed get");
	CHECK_EQ(put_seed(pool, &key, 300), 0, "put behind a flush");
	expect_page(pool, &key, 300, "get of it");
	CHECK_EQ(pool_destroy(pool), 0, "destroy");
}

/* What was put is a copy: the frame is the guest's own again. */
static void test_copy(void)
{
	const struct page_key key = {{7, 7, 7}, 7};
	uint64_t pool = new_pool(PERSISTENT);

	CHECK_EQ(put_seed(pool, &key, 1), 0, "put");
	CHECK(holds(page_in, 1), "a put changed the frame");
	fill(page_in, 2);
	expect_page(pool, &key, 1, "get behind a change of the frame");
	fill(page_out, 3);
	expect_page(pool, &key, 1, "get behind a change of the copy");
	CHECK_EQ(pool_destroy(pool), 0, "destroy");
}

static void test_ephemeral(void)
{
	const struct page_key key = {{9, 8, 7}, 6};
	uint64_t pool = new_pool(EPHEMERAL);

	expect_absent(pool, &key, "ephemeral: get from an empty pool");
	CHECK_EQ(put_seed(pool, &key, 10), 0, "ephemeral: put");
	expect_page(pool, &key, 10, "ephemeral: get");
	expect_absent(pool, &key, "ephemeral: a get takes the page away");
	CHECK_EQ(put_seed(pool, &key, 20), 0, "ephemeral: put");
	CHECK_EQ(put_seed(pool, &key, 30), 0, "ephemeral: put on an existing key");
	expect_page(pool, &key, 30, "ephemeral: put-put-get");
	CHECK_EQ(put_seed(pool, &key, 40), 0, "ephemeral: put");
	CHECK_EQ(page_flush(pool, &key), 1, "ephemeral: flush");
	expect_absent(pool, &key, "ephemeral: get behind a flush");
	CHECK_EQ(pool_destroy(pool), 0, "ephemeral: destroy");
}

/* Keys that differ in one bit of one part are different keys. */
static void test_keys(void)
{
	static const struct page_key keys[] = {
		{{0, 0, 0}, 0},
		{{1, 0, 0}, 0},
		{{0, 1, 0}, 0},
		{{0, 0, 1}, 0},
		{{0, 0, 0}, 1},
		{{1ull << 63, 0, 0}, 0},
		{{0, 1ull << 63, 0}, 0},
		{{0, 0, 1ull << 63}, 0},
		{{0, 0, 0}, 1ull << 63},
		{{0, 0, 0}, 1ull << 32},
		{{UINT64_MAX, UINT64_MAX, UINT64_MAX}, UINT64_MAX},
	};
	const size_t count = sizeof(keys) / sizeof(keys[0]);
	uint64_t pool = new_pool(PERSISTENT), other = new_pool(PERSISTENT);

	for (size_t i = 0; i < count; i++)
		CHECK_EQ(put_seed(pool, &keys[i], i * 1000), 0, "put of one of many keys");
	for (size_t i = 0; i < count; i++) {
		expect_page(pool, &keys[i], i * 1000, "get of one of many keys");
		expect_absent(other, &keys[i], "the same key in another pool");
	}
	CHECK_EQ(pool_destroy(other), 0, "destroy of an empty pool");
	CHECK_EQ(pool_destroy(pool), 0, "destroy");
}

static void test_flush_object(void)
{
	struct page_key key = {{5, 5, 5}, 0}, neighbour = {{5, 5, 6}, 0};
	uint64_t pool = new_pool(PERSISTENT);
	int64_t held = query(TIDEPOOL_QUERY_HELD);

	for (key.index = 0; key.index < OBJECT_PAGES; key.index++)
		CHECK_EQ(put_seed(pool, &key, key.index), 0, "put into an object");
	CHECK_EQ(put_seed(pool, &neighbour, 77), 0, "put into another object");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), held + OBJECT_PAGES + 1, "pages held");
	CHECK_EQ(object_flush(pool, &key), 0, "flush object");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), held + 1, "pages held behind flush object");
	for (key.index = 0; key.index < OBJECT_PAGES; key.index++)
		expect_absent(pool, &key, "get behind flush object");
	expect_page(pool, &neighbour, 77, "get from the other object");
	CHECK_EQ(object_flush(pool, &key), 0, "flush of an object that is gone");
	CHECK_EQ(pool_destroy(pool), 0, "destroy");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), held, "pages held behind destroy");
}

static void test_destroy(void)
{
	struct page_key key = {{1, 1, 1}, 0};
	uint64_t pool = new_pool(PERSISTENT), other = new_pool(PERSISTENT);

	CHECK(pool != other, "two pools have the same id %lu", pool);
	CHECK_EQ(put_seed(other, &key, 5), 0, "put into the pool that stays");
	for (key.index = 0; key.index < OBJECT_PAGES; key.index++)
		CHECK_EQ(put_seed(pool, &key, key.index), 0, "put into the pool that goes");
	CHECK_EQ(pool_destroy(pool), 0, "destroy");
	key.index = 0;
	CHECK_EQ(page_get(pool, &key, page_out), -TIDEPOOL_ENODEV, "get behind destroy");
	CHECK_EQ(page_put(pool, &key, page_in), -TIDEPOOL_ENODEV, "put behind destroy");
	CHECK_EQ(page_flush(pool, &key), -TIDEPOOL_ENODEV, "flush behind destroy");
	CHECK_EQ(object_flush(pool, &key), -TIDEPOOL_ENODEV, "flush object behind destroy");
	CHECK_EQ(pool_destroy(pool), -TIDEPOOL_ENODEV, "destroy behind destroy");
	expect_page(other, &key, 5, "get from the pool that stays");
	CHECK_EQ(pool_destroy(other), 0, "destroy");

	pool = new_pool(PERSISTENT);
	for (key.index = 0; key.index < OBJECT_PAGES; key.index++)
		expect_absent(pool, &key, "get from a new pool");
	CHECK_EQ(pool_destroy(pool), 0, "destroy of the new pool");
}

/* Every id once, then a refusal, then all ids again. */
static void test_many_pools(void)
{
	static bool seen[TIDEPOOL_MAX_POOLS];
	unsigned int count = 0;
	int64_t pool;

	while ((pool = pool_new(EPHEMERAL)) >= 0) {
		if (pool >= (int64_t)TIDEPOOL_MAX_POOLS || seen[pool]) {
			test_failure("pool id %ld is out of range or given twice", pool);
			return;
		}
		seen[pool] = true;
		count++;
	}
	CHECK_EQ(pool, -TIDEPOOL_ENOMEM, "one pool too many");
	CHECK_EQ(count, TIDEPOOL_MAX_POOLS, "pools at once");
	CHECK_EQ(pool_destroy(200), 0, "destroy");
	CHECK_EQ(pool_destroy(100), 0, "destroy");
	CHECK_EQ(pool_new(EPHEMERAL), 100, "new pool: the lowest number that is free");
	CHECK_EQ(pool_new(EPHEMERAL), 200, "new pool: the last number");
	for (uint64_t id = 0; id < TIDEPOOL_MAX_POOLS; id++) {
		if (seen[id])
			CHECK_EQ(pool_destroy(id), 0, "destroy of one of many pools");
	}
	CHECK_EQ(pool_destroy(new_pool(EPHEMERAL)), 0, "destroy of a pool behind many");
}

/* Many operations in a call: all results, and all pages or none. */
static void test_vector(void)
{
	static struct tidepool_descriptor list[2 * VECTOR_PAGES] __attribute__((aligned(64)));
	static uint64_t pages[VECTOR_PAGES][TIDEPOOL_PAGE_SIZE / 8] __attribute__((aligned(4096)));
	uint64_t pool = new_pool(EPHEMERAL);

	for (size_t i = 0; i < VECTOR_PAGES; i++) {
		fill(pages[i], i);
		list[i] = (struct tidepool_descriptor){
			.op = TIDEPOOL_OP_PUT_PAGE,
			.pool = (unsigned int)pool,
			.oid = {3, 2, 1},
			.index = i,
			.frame = (uint64_t)pages[i] / TIDEPOOL_PAGE_SIZE,
			.result = 1,
		};
	}
	vector_do(list, VECTOR_PAGES);
	for (size_t i = 0; i < VECTOR_PAGES; i++) {
		CHECK_EQ(list[i].result, 0, "put in a vector");
		list[i].op = TIDEPOOL_OP_GET_PAGE;
		list[i].frame = (uint64_t)pages[VECTOR_PAGES - 1 - i] / TIDEPOOL_PAGE_SIZE;
	}
	list[VECTOR_PAGES - 1].index = VECTOR_PAGES;
	CHECK_EQ(vector(list, VECTOR_PAGES, TIDEPOOL_VECTOR_ALL), -TIDEPOOL_ENOENT,
		 "all pages, one of which is missing");
	for (size_t i = 0; i < VECTOR_PAGES; i++)
		CHECK(holds(pages[i], i), "a failed get of all pages wrote to a frame");
	list[VECTOR_PAGES - 1].index = VECTOR_PAGES - 1;
	CHECK_EQ(vector(list, VECTOR_PAGES, TIDEPOOL_VECTOR_ALL), VECTOR_PAGES, "all pages");
	for (size_t i = 0; i < VECTOR_PAGES; i++)
		CHECK(holds(pages[i], VECTOR_PAGES - 1 - i), "all pages: other content");
	CHECK_EQ(vector(list, 1, TIDEPOOL_VECTOR_ALL), -TIDEPOOL_ENOENT,
		 "one page that all pages took away");
	list[0].op = TIDEPOOL_OP_VECTOR;
	list[1].frame = UINT64_MAX;
	vector_do(list, 2);
	CHECK_EQ(list[0].result, -TIDEPOOL_ENOSYS, "a vector in a vector");
	CHECK_EQ(list[1].result, -TIDEPOOL_EFAULT, "a frame that is no RAM in a vector");
	CHECK_EQ(vector(list, 0, 0), -TIDEPOOL_EINVAL, "an empty vector");
	CHECK_EQ(vector(list, TIDEPOOL_VECTOR_MAX + 1, 0), -TIDEPOOL_EINVAL, "a long vector");
	CHECK_EQ(vector(list, 1, 2), -TIDEPOOL_EINVAL, "a vector with an unknown flag");
	CHECK_EQ(hypercall(TIDEPOOL_OP_VECTOR, (uint64_t)list + 8, 1, 0, 0, 0, 0), -TIDEPOOL_EINVAL,
		 "a vector that is not aligned");
	CHECK_EQ(hypercall(TIDEPOOL_OP_VECTOR, ram_bytes() - 64, 2, 0, 0, 0, 0), -TIDEPOOL_EFAULT,
		 "a vector that leaves the RAM");
	CHECK_EQ(pool_destroy(pool), 0, "destroy");
}

/* Words of pages: @word of the stored one, @at of the frame's. */
static uint64_t words(uint64_t count, uint64_t word, uint64_t at)
{
	return TIDEPOOL_SPAN(count * 8, word * 8, at * 8);
}

static void test_parts(void)
{
	static const uint64_t bad[] = {
		0,
		TIDEPOOL_SPAN(4097, 0, 0),
		TIDEPOOL_SPAN(1, 4096, 0),
		TIDEPOOL_SPAN(1, 0, 4096),
		TIDEPOOL_SPAN(0xffff, 0xffff, 0),
		1ull << TIDEPOOL_SPAN_PART_SHIFT | TIDEPOOL_SPAN(1, 0, 0),
		1ull << 63 | TIDEPOOL_SPAN(1, 0, 0),
	};
	const struct page_key key = {{4, 5, 6}, 7}, zero = {{4, 5, 6}, 8};
	uint64_t pool = new_pool(EPHEMERAL);

	fill(page_in, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		for (uint64_t op = TIDEPOOL_OP_READ; op <= TIDEPOOL_OP_XCHG; op++)
			CHECK_EQ(page_call(op, pool, &key, page_in, bad[i]), -TIDEPOOL_EINVAL,
				 "a span that leaves the page");
	CHECK_EQ(page_call(TIDEPOOL_OP_READ, pool, &key, page_in, words(1, 0, 0)), -TIDEPOOL_ENOENT,
		 "read of nothing");
	CHECK_EQ(page_call(TIDEPOOL_OP_XCHG, pool, &key, page_in, words(1, 0, 0)), -TIDEPOOL_ENOENT,
		 "exchange with nothing");
	CHECK_EQ(page_call(TIDEPOOL_OP_WRITE, pool, &key, page_in, words(2, 10, 20)), 0, "write");
	memset(page_out, 0xee, sizeof(page_out));
	CHECK_EQ(page_call(TIDEPOOL_OP_READ, pool, &key, page_out, words(512, 0, 0)), 0,
		 "read of the whole page");
	for (size_t i = 0; i < 512; i++)
		CHECK(page_out[i] == (i == 10 || i == 11 ? page_in[i + 10] : 0),
		      "word %lu of a page of which two were written: 0x%lx", i, page_out[i]);
	CHECK_EQ(page_call(TIDEPOOL_OP_XCHG, pool, &key, page_out, words(1, 11, 0)), 0, "exchange");
	CHECK(page_out[0] == page_in[21] && page_out[1] == 0, "exchange: the frame");
	CHECK_EQ(page_get(pool, &key, page_out), 0, "get: reads have not taken the page away");
	CHECK(page_out[10] == page_in[20] && page_out[11] == 0, "exchange: the page");
	CHECK_EQ(hypercall(TIDEPOOL_OP_NEW_PAGE, pool, 4, 5, 6, 8, 0), 0, "new page");
	CHECK_EQ(page_get(pool, &zero, page_out), 0, "get of a new page");
	for (size_t i = 0; i < 512; i++)
		CHECK(page_out[i] == 0, "word %lu of a new page: 0x%lx", i, page_out[i]);
	CHECK_EQ(pool_destroy(pool), 0, "destroy");
}

static void test_flush_range(void)
{
	struct page_key key = {{6, 6, 6}, 0};
	uint64_t pool = new_pool(PERSISTENT);

	for (key.index = 0; key.index < OBJECT_PAGES; key.index++)
		CHECK_EQ(put_seed(pool, &key, key.index), 0, "put into an object");
	CHECK_EQ(hypercall(TIDEPOOL_OP_FLUSH_RANGE, pool, 6, 6, 6, 3, 5), 5, "flush of five");
	CHECK_EQ(hypercall(TIDEPOOL_OP_FLUSH_RANGE, pool, 6, 6, 6, 20, 1ull << 40), 1ll << 40,
		 "flush of a long range in a small object");
	for (key.index = 0; key.index < OBJECT_PAGES; key.index++) {
		if ((key.index >= 3 && key.index < 8) || key.index >= 20)
			expect_absent(pool, &key, "get behind a flush of its range");
		else
			expect_page(pool, &key, key.index, "get outside of a flushed range");
	}
	CHECK_EQ(hypercall(TIDEPOOL_OP_FLUSH_RANGE, pool, 6, 6, 6, 0, 0), -TIDEPOOL_EINVAL,
		 "flush of nothing");
	CHECK_EQ(hypercall(TIDEPOOL_OP_FLUSH_RANGE, pool, 6, 6, 6, 2, UINT64_MAX), -TIDEPOOL_EINVAL,
		 "flush of too much");
	CHECK_EQ(hypercall(TIDEPOOL_OP_FLUSH_RANGE, pool, 6, 6, 6, UINT64_MAX, 2), -TIDEPOOL_EINVAL,
		 "flush beyond the last index");
	CHECK_EQ(pool_destroy(pool), 0, "destroy");
}

static void test_counters(void)
{
	const struct page_key keys[] = {{{1, 0, 0}, 1}, {{1, 0, 0}, 2}, {{2, 0, 0}, 1}};
	static const struct {
		const char *what;
		int64_t change;
	} expected[TIDEPOOL_QUERY_COUNT] = {
		[TIDEPOOL_QUERY_PUTS] = {"counter of puts", 4},
		[TIDEPOOL_QUERY_REFUSED] = {"counter of refused puts", 0},
		[TIDEPOOL_QUERY_GETS] = {"counter of gets", 2},
		[TIDEPOOL_QUERY_MISSES] = {"counter of misses", 1},
		[TIDEPOOL_QUERY_FLUSHED] = {"counter of flushed pages", 2},
		[TIDEPOOL_QUERY_HELD] = {"counter of held pages", 1},
	};
	int64_t before[TIDEPOOL_QUERY_COUNT];
	uint64_t pool = new_pool(PERSISTENT);

	for (uint64_t i = 0; i < TIDEPOOL_QUERY_COUNT; i++)
		before[i] = query(i);
	for (size_t i = 0; i < 3; i++)
		CHECK_EQ(put_seed(pool, &keys[i], i), 0, "put");
	CHECK_EQ(put_seed(pool, &keys[0], 9), 0, "put on an existing key");
	expect_page(pool, &keys[0], 9, "get");
	expect_page(pool, &keys[2], 2, "get");
	CHECK_EQ(page_flush(pool, &keys[0]), 1, "flush");
	CHECK_EQ(page_flush(pool, &keys[0]), 0, "flush of what is gone");
	expect_absent(pool, &keys[0], "get of what is gone");
	CHECK_EQ(object_flush(pool, &keys[2]), 0, "flush object");
	for (uint64_t i = 0; i < TIDEPOOL_QUERY_COUNT; i++)
		CHECK_EQ(query(i) - before[i], expected[i].change, expected[i].what);
	CHECK_EQ(query(TIDEPOOL_QUERY_COUNT), -TIDEPOOL_EINVAL, "query of what is not counted");

	CHECK_EQ(pool_destroy(pool), 0, "destroy");
	CHECK_EQ(query(TIDEPOOL_QUERY_FLUSHED) - before[TIDEPOOL_QUERY_FLUSHED], 3,
		 "flushed pages, the destroyed pool's included");
	CHECK_EQ(query(TIDEPOOL_QUERY_HELD), before[TIDEPOOL_QUERY_HELD], "pages held at the end");
}

/* Calls with random registers: all but RAX, and the flags, are the same afterwards. */
static void test_registers(void)
{
	static const uint64_t flags[] = {RFLAGS_ONE, RFLAGS_ONE | RFLAGS_ARITHMETIC,
					 RFLAGS_ONE | RFLAGS_DF};
	uint64_t pool = new_pool(PERSISTENT);

	for (uint64_t op = 0; op <= TIDEPOOL_OP_COUNT; op++) {
		struct call_regs before, after;
		uint64_t *words = (uint64_t *)&before;

		for (size_t i = 0; i < sizeof(before) / sizeof(*words); i++)
			words[i] = test_random();
		before.rflags = flags[op % 3];
		before.rax = TIDEPOOL_CALL(op);
		before.rdi = pool;
		if (op == TIDEPOOL_OP_DESTROY_POOL || op == TIDEPOOL_OP_GIVE_BLOCK)
			before.rdi = UINT64_MAX; /* neither a pool nor RAM */
		before.r9 = (uint64_t)page_in / TIDEPOOL_PAGE_SIZE;
		after = before;
		hypercall_regs(&after);
		after.rax = before.rax;
		CHECK(memcmp(&before, &after, sizeof(before)) == 0,
		      "operation %lu changed a register or the flags", op);
	}
	CHECK_EQ(pool_destroy(pool), 0, "destroy");
}

void test_main(void)
{
	tidepool_require();
	test_discovery();
	test_other_vendor();
	test_reserved_operations();
	test_pool_flags();
	test_persistent();
	test_copy();
	test_ephemeral();
	test_keys();
	test_flush_object();
	test_destroy();
	test_many_pools();
	test_vector();
	test_parts();
	test_flush_range();
	test_counters();
	test_registers();
}

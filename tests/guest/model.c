/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reference model against the store behind hypercalls: the engine of random calls that the
 * host's tests use (tests/unit/engine.h), in a guest. "seed=" and "calls=" choose which, and how
 * many; the guest has the shared pool "own" to itself.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"
#include "tests/unit/engine.h"

#define CALLS_DEFAULT 3000u
#define WHOLE(part)   TIDEPOOL_HUGE_SPAN(part, TIDEPOOL_PAGE_SIZE, 0, 0)

const char test_name[] = "model";

static uint64_t random_state;

static struct page_key key_of(const struct tmem_key *key)
{
	return (struct page_key){{key->oid[0], key->oid[1], key->oid[2]}, key->index};
}

static int64_t create(unsigned int client, uint64_t flags, const uint64_t uuid[2])
{
	(void)client;
	return hypercall(TIDEPOOL_OP_NEW_POOL, flags, uuid[0], uuid[1], 0, 0, 0);
}

static int64_t destroy(unsigned int client, uint64_t pool)
{
	(void)client;
	return hypercall(TIDEPOOL_OP_DESTROY_POOL, pool, 0, 0, 0, 0, 0);
}

static int64_t put(unsigned int client, uint64_t pool, const struct tmem_key *key, const void *page)
{
	struct page_key copy = key_of(key);

	(void)client;
	return page_put(pool, &copy, page);
}

static int64_t get(unsigned int client, uint64_t pool, const struct tmem_key *key, void *page)
{
	struct page_key copy = key_of(key);

	(void)client;
	return page_get(pool, &copy, page);
}

static int64_t flush(unsigned int client, uint64_t pool, const struct tmem_key *key)
{
	struct page_key copy = key_of(key);

	(void)client;
	return page_flush(pool, &copy);
}

static int64_t flush_all(unsigned int client, uint64_t pool, const uint64_t oid[3])
{
	(void)client;
	return hypercall(TIDEPOOL_OP_FLUSH_OBJECT, pool, oid[0], oid[1], oid[2], 0, 0);
}

static int64_t read(unsigned int client, uint64_t pool, const struct tmem_key *key,
		    unsigned int part, void *page)
{
	struct page_key copy = key_of(key);

	(void)client;
	return page_call(TIDEPOOL_OP_READ, pool, &copy, page, WHOLE(part));
}

static int64_t write(unsigned int client, uint64_t pool, const struct tmem_key *key,
		     unsigned int part, const void *page)
{
	struct page_key copy = key_of(key);

	(void)client;
	return page_call(TIDEPOOL_OP_WRITE, pool, &copy, page, WHOLE(part));
}

static int64_t exchange(unsigned int client, uint64_t pool, const struct tmem_key *key,
			unsigned int part, void *page)
{
	struct page_key copy = key_of(key);

	(void)client;
	return page_call(TIDEPOOL_OP_XCHG, pool, &copy, page, WHOLE(part));
}

static int64_t flush_range(unsigned int client, uint64_t pool, const struct tmem_key *first,
			   uint64_t count)
{
	(void)client;
	return hypercall(TIDEPOOL_OP_FLUSH_RANGE, pool, first->oid[0], first->oid[1], first->oid[2],
			 first->index, count);
}

static int64_t huge_put(unsigned int client, uint64_t pool, const struct tmem_key *key,
			const void *page, uint64_t cookie)
{
	struct page_key copy = key_of(key);

	(void)client;
	return page_call(TIDEPOOL_OP_PUT_PAGE, pool, &copy, page, cookie);
}

static int64_t huge_get(unsigned int client, uint64_t pool, const struct tmem_key *key, void *page,
			uint64_t cookie)
{
	struct page_key copy = key_of(key);

	(void)client;
	return page_call(TIDEPOOL_OP_GET_PAGE, pool, &copy, page, cookie);
}

static int64_t huge_flush(unsigned int client, uint64_t pool, const struct tmem_key *key)
{
	struct page_key copy = key_of(key);

	(void)client;
	return page_call(TIDEPOOL_OP_FLUSH_PAGE, pool, &copy, NULL, 0);
}

static void fail(const char *what, int64_t value)
{
	test_failure("the store and the model differ: %s: %ld", what, value);
	test_finish();
}

static uint64_t random_next(void)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15; /* splitmix64, as the host's tests */

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

void test_main(void)
{
	static const uint64_t name[2] = {0x6e776f, 0}; /* "own" */
	static const struct engine_store store = {
		.pool_create = create,
		.pool_destroy = destroy,
		.put = put,
		.get = get,
		.flush_page = flush,
		.flush_object = flush_all,
		.read = read,
		.write = write,
		.exchange = exchange,
		.flush_range = flush_range,
		.huge_put = huge_put,
		.huge_get = huge_get,
		.huge_flush = huge_flush,
		.huge = (void *)0x800000, /* above all that the kernel takes; RAM is zeroed */
		.shared = name,
		.fail = fail,
	};
	uint64_t calls = cmdline_number("calls=", CALLS_DEFAULT);

	tidepool_require();
	random_state = cmdline_number("seed=", 1);
	engine_start(&store, 1);
	for (uint64_t i = 0; i < calls; i++) {
		uint64_t random = random_next();

		engine_call((const uint8_t *)&random);
	}
	print("model: %ld puts, %ld refused, %ld gets, %ld misses\n", query(TIDEPOOL_QUERY_PUTS),
	      query(TIDEPOOL_QUERY_REFUSED), query(TIDEPOOL_QUERY_GETS),
	      query(TIDEPOOL_QUERY_MISSES));
	CHECK(query(TIDEPOOL_QUERY_GETS) > 0, "no get found a page");
}

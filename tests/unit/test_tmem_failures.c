/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store when memory fails at any one point: a sequence of calls is repeated, and each time
 * another of the frames that it takes is refused; alone, or with all that the same call asks for
 * behind it. Answers are those that docs/abi.md has, what is there is what the model says, and when
 * all clients are gone every frame is back.
 *
 * A promised frame is never refused: that is what a promise is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

/* The allocator is here under another name, and behind the one that refuses. */
#define tmem_frame_alloc frame_take_real
#include "tmem/frame.c"
#undef tmem_frame_alloc

#include "tests/unit/engine.h"
#include "tests/unit/engine_store.h"
#include "tests/unit/model_host.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum mode {
	ALONE,	/* one frame is refused */
	CALL,	/* and all others until the call returns */
	AT_ALL, /* and all that follow */
	MODES,
};

static struct {
	bool armed;
	enum mode mode;
	uint64_t at;	/* the frame, counted from 1; 0: none */
	uint64_t asked; /* so far */
	bool failing;
} inject;

void *tmem_frame_alloc(enum tmem_frame_use use, bool promised);

void *tmem_frame_alloc(enum tmem_frame_use use, bool promised)
{
	if (inject.armed && !promised) {
		if (++inject.asked == inject.at)
			inject.failing = true;
		if (inject.failing) {
			inject.failing = inject.mode != ALONE;
			return NULL;
		}
	}
	return frame_take_real(use, promised);
}

static void inject_start(uint64_t at, enum mode mode)
{
	memset(&inject, 0, sizeof(inject));
	inject.armed = true;
	inject.at = at;
	inject.mode = mode;
}

static void call_end(void)
{
	inject.failing = inject.failing && inject.mode == AT_ALL;
}

/* All clients are gone: so are their frames. */
static void frames_check(void)
{
	uint64_t blocks, nr_free;

	tmem_frame_stats(&blocks, &nr_free);
	assert_int_equal(nr_free, blocks * TMEM_FRAMES_PER_BLOCK);
	assert_int_equal(frames.nr_promised, MODEL_HOST_CPUS);
}

/*
 * Run @script with nothing refused, to see how many frames it asks for, then with each of them.
 */
static void each_frame_fails(void (*script)(void))
{
	unsigned int mode;
	uint64_t at, total = 0;

	for (mode = ALONE; mode < MODES; mode++)
		for (at = 0; at <= total; at++) {
			assert_int_equal(model_host_start(UINT64_MAX), 0);
			inject_start(at, mode);
			script();
			if (at == 0)
				total = inject.asked;
			assert_true(inject.asked >= at);
			inject.armed = false;
			frames_check();
			model_host_stop();
		}
	assert_true(total > 0);
}

/* ---- by the engine, with its model --------------------------------------------------------------
 */

/* What the engine's first byte chooses, and its last: see engine_call(). */
#define CREATE	      0, 0, 0
#define HANDLE	      2, 0, 0
#define FLUSH_OBJECT  2
#define FLUSH	      3
#define PUT_MANY      5
#define GET	      6
#define RARE	      9
#define PUT	      10
#define CLIENT(n)     ((n) << 5)
#define PLACE(p, o)   ((p) << 4 | (o))
#define PERSISTENT    1	 /* pools, by the order in which they are made: 0 */
#define EPHEMERAL     2	 /* 1 */
#define SHARED	      4	 /* 2 */
#define HUGE	      15 /* 3 */
#define FREEZE	      0
#define MOVE	      1
#define DESTROY	      2
#define IDLE	      5
#define GROUP	      2 /* engine_dedup: pages that are alike are one, whoever has them */
#define FILLED	      0
#define COMPRESSIBLE  2
#define UNIQUE	      3
#define READ	      (0 << 2) /* among the rare ones */
#define WRITE	      (1 << 2)
#define EXCHANGE      (2 << 2)
#define HUGE_GET      2
#define HUGE_PUT_PART 8 /* given up after three steps */
#define HUGE_PUT      1

static const uint8_t script[][ENGINE_CALL] = {
	{CREATE, PERSISTENT},
	{CREATE, EPHEMERAL},
	{CREATE, SHARED},
	{CREATE, HUGE},
	{PUT, PLACE(0, 1), 1, FILLED},
	{PUT, PLACE(0, 1), 1, UNIQUE},
	{PUT, PLACE(0, 1), 2, COMPRESSIBLE},
	{PUT, PLACE(1, 1), 1, UNIQUE},
	{PUT, PLACE(2, 1), 1, UNIQUE},
	{PUT, PLACE(2, 1), 1, FILLED},
	{PUT_MANY, PLACE(0, 2), 0, FILLED}, /* the index and the records grow */
	{PUT_MANY, PLACE(1, 3), 0, FILLED},
	{PUT, PLACE(0, 2), 1, COMPRESSIBLE},
	{PUT, PLACE(0, 2), 2, COMPRESSIBLE},
	{PUT, PLACE(0, 2), 3, COMPRESSIBLE},
	{HANDLE, IDLE},
	{HANDLE, IDLE},
	{HANDLE, IDLE},
	{GET, PLACE(0, 2), 1, 0},
	{PUT, PLACE(0, 2), 2, UNIQUE},
	{PUT, PLACE(0, 2), 3, COMPRESSIBLE},
	{PUT, PLACE(0, 2), 4, FILLED},
	{HANDLE, IDLE},
	{RARE, PLACE(0, 2), 7, EXCHANGE | UNIQUE},
	{RARE, PLACE(0, 2), 9, WRITE | UNIQUE},
	{RARE, PLACE(0, 2), 9, READ},
	{PUT, PLACE(3, 1), 0, HUGE_PUT_PART},
	{PUT, PLACE(3, 1), 0, HUGE_PUT},
	{PUT, PLACE(3, 1), 0, HUGE_GET},
	{CLIENT(1), 0, 0, PERSISTENT},
	{CLIENT(1) | PUT, PLACE(0, 1), 1, UNIQUE},
	{CLIENT(1) | GET, PLACE(0, 1), 1, 0},
	{HANDLE, FREEZE},
	{PUT, PLACE(0, 1), 5, UNIQUE},
	{HANDLE, FREEZE},
	{2, PLACE(2, 0), 0, DESTROY},
	{HANDLE, MOVE},
	{GET, PLACE(0, 1), 1, 0},
	{GET, PLACE(0, 2), 5, 0},
	{PUT, PLACE(0, 2), 6, UNIQUE},
	{PUT, PLACE(3, 1), 0, HUGE_GET},
	{FLUSH, PLACE(0, 1), 1, 0},
	{FLUSH_OBJECT, PLACE(0, 2), 0, 6},
	{2, PLACE(3, 0), 0, DESTROY},
};

static void differ(const char *what, int64_t value)
{
	print_error("frame %llu, mode %d: %s: %lld\n", (unsigned long long)inject.at,
		    (int)inject.mode, what, (long long)value);
	fail_msg("the store and the model differ");
}

static void accounts_check(unsigned int c)
{
	struct tmem_stats stats;

	tmem_client_stats(engine_clients[c], &stats);
	assert_true(stats.held >= engine_count(c, true));
	if (!engine_has_huge(c))
		assert_true(stats.held <= engine_count(c, false));
}

static void engine_script(void)
{
	unsigned int i;

	inject.armed = false;
	engine_caps[0] = engine_caps[1] = UINT64_MAX;
	engine_dedup[0] = engine_dedup[1] = GROUP;
	engine_store_start(2, differ);
	inject.armed = true;
	for (i = 0; i < COUNT(script); i++) {
		engine_call(script[i]);
		call_end();
		accounts_check(i % 2);
	}
	/* The script does what it is for. */
	assert_true(inject.at || (model_host.compressed && model_host.decompressed));
	engine_store_stop();
}

static void test_pools_and_pages(void **state)
{
	(void)state;
	each_frame_fails(engine_script);
}

/* ---- parts of pages, and clients ----------------------------------------------------------------
 */

static char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
static const struct tmem_span part = {.length = 100, .offset = 1000, .at = 200};

/* What the key of a page with @fill all over holds after a write or exchange of a part. */
static void part_check(struct tmem_client *client, const struct tmem_key *key, int fill, int mark)
{
	char wanted[TMEM_PAGE_SIZE];

	memset(wanted, fill, sizeof(wanted));
	memset(wanted + part.offset, mark, part.length);
	assert_int_equal(tmem_get(client, 0, key, page), 0);
	assert_memory_equal(page, wanted, sizeof(wanted));
}

/* Write a part of what is not there, and of what repeats one word and has no frame. */
static void writes(struct tmem_client *client)
{
	struct tmem_key key = {.oid = {1}};
	int64_t ret;

	memset(page, 'w', sizeof(page));
	ret = tmem_write(client, 0, &key, &part, page);
	call_end();
	assert_true(ret == 0 || ret == -TIDEPOOL_ENOMEM);
	if (ret == 0)
		part_check(client, &key, 0, 'w');

	key.index = 1;
	memset(page, 'w', sizeof(page));
	ret = tmem_new_page(client, 0, &key);
	call_end();
	assert_true(ret == 0 || ret == -TIDEPOOL_ENOMEM);
	if (ret)
		return;
	ret = tmem_write(client, 0, &key, &part, page);
	call_end();
	assert_true(ret == 0 || ret == -TIDEPOOL_ENOSPC);
	if (ret == 0)
		part_check(client, &key, 0, 'w');
	else
		assert_int_equal(tmem_get(client, 0, &key, page), -TIDEPOOL_ENOENT);
}

/* One that is refused leaves the page, and the guest's, as they were. */
static void exchanges(struct tmem_client *client)
{
	static const char before[] = {'x', 'y'};
	struct tmem_key key = {.oid = {1, 2}};
	int64_t ret;

	memset(page, before[1], sizeof(page));
	ret = tmem_put(client, 0, &key, page);
	call_end();
	assert_true(ret == 0 || ret == -TIDEPOOL_ENOMEM);
	if (ret)
		return;
	memset(page, before[0], sizeof(page));
	ret = tmem_exchange(client, 0, &key, &part, page);
	call_end();
	assert_true(ret == 0 || ret == -TIDEPOOL_ENOMEM);
	assert_int_equal(page[part.at], before[ret == 0]);
	part_check(client, &key, before[1], before[ret != 0]);
}

static void parts_script(void)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX, .compress = true};
	const uint64_t name[2] = {1};
	struct tmem_client *client = tmem_client_create(&limits);
	struct tmem_client *shared = tmem_shared_create(name, true, &limits);
	int64_t pool = -1;

	call_end();
	if (client) {
		pool = tmem_pool_create(client, TIDEPOOL_POOL_VERSION | TIDEPOOL_POOL_PERSISTENT,
					name);
		call_end();
		assert_true(pool == 0 || pool == -TIDEPOOL_ENOMEM);
	}
	if (pool == 0) {
		writes(client);
		exchanges(client);
	}
	while (client && tmem_client_destroy(client) == -TIDEPOOL_EAGAIN)
		;
	while (shared && tmem_client_destroy(shared) == -TIDEPOOL_EAGAIN)
		;
	assert_true((client && shared && pool == 0) || inject.at);
}

static void test_parts_and_clients(void **state)
{
	(void)state;
	each_frame_fails(parts_script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pools_and_pages),
		cmocka_unit_test(test_parts_and_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

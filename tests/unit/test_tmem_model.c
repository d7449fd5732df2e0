/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page store against the reference model: millions of random calls, with random caps, random
 * host sizes and refused blocks, each answer compared, and the accounts checked after each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include <tidepool/abi.h>

#include "tests/unit/model_check.h"
#include "tests/unit/model_host.h"
#include "tests/unit/stamp.h"
#include "tmem/client.h"

/* Of the build with the sanitizers; the one without, checks.mk's, makes ten million calls. */
#ifndef ROUNDS
#define ROUNDS 30u
#endif
#define CALLS 20000u /* a round */

#define IDLE_EACH 20u /* calls on average there is an idle CPU's step */

/* What each page of the model that is there holds. */
static unsigned char contents[MODEL_CLIENTS][MODEL_POOLS][MODEL_OBJECTS][MODEL_INDICES]
			     [TMEM_PAGE_SIZE];
static uint64_t last_stamp;

/* Pages of a get of several at most. */
#define ALL_PAGES 6u

static unsigned char *content_at(struct model_place at)
{
	return contents[at.client][at.pool][at.object][at.index];
}

static struct tmem_key key_of(struct model_place at)
{
	/* Object ids that differ in one word each, and indices of all sizes. */
	struct tmem_key key = {.index = at.index};

	key.oid[at.object % 3] = at.object / 3 + 1;
	if (at.index % 3 == 2)
		key.index = UINT64_MAX - at.index;
	return key;
}

static void put_do(struct model_place at)
{
	static uint64_t page[TMEM_PAGE_SIZE / sizeof(uint64_t)] __attribute__((aligned(4096)));
	struct tmem_key key = key_of(at);
	uint64_t failures = model_host.failures, stamp = last_stamp += TMEM_PAGE_SIZE;
	bool framed = !stamp_is_filled(stamp) && check_lacks_frame(at);
	int64_t ret;

	stamp_fill(page, stamp);
	ret = tmem_put(clients[at.client], at.pool, &key, page);
	if (!model.pools[at.client][at.pool].open) {
		assert_int_equal(ret, -TIDEPOOL_ENODEV);
		return;
	}
	check_put(at, ret, framed, failures);
	if (ret == 0) {
		model_put(&model, at, stamp);
		memcpy(content_at(at), page, TMEM_PAGE_SIZE);
	}
}

static void get_do(struct model_place at)
{
	static uint64_t page[TMEM_PAGE_SIZE / sizeof(uint64_t)] __attribute__((aligned(4096)));
	const struct model_pool *pool = &model.pools[at.client][at.pool];
	struct tmem_key key = key_of(at);
	uint64_t stamp;
	int64_t ret;

	stamp_fill(page, 1);
	ret = tmem_get(clients[at.client], at.pool, &key, page);
	if (!pool->open) {
		assert_int_equal(ret, -TIDEPOOL_ENODEV);
		stamp_expect(page, 1);
		return;
	}
	if (ret == -TIDEPOOL_ENOENT && model_page(&model, at)->stamp)
		check_evicted(at);
	stamp = model_get(&model, at);
	if (!stamp) {
		assert_int_equal(ret, -TIDEPOOL_ENOENT);
		stamp_expect(page, 1);
		expected[at.client].misses++;
		return;
	}
	assert_int_equal(ret, 0);
	stamp_pages_equal(page, content_at(at));
	expected[at.client].gets++;
	expected[at.client].held -= !pool->persistent;
}

/* Several pages or none, of one client, and of any of its pools. */
static void get_all_do(struct model_place at)
{
	static uint64_t pages[ALL_PAGES][TMEM_PAGE_SIZE / sizeof(uint64_t)]
		__attribute__((aligned(4096)));
	struct model_page taken[ALL_PAGES];
	struct model_place places[ALL_PAGES];
	struct tmem_get gets[ALL_PAGES];
	unsigned int count = 1 + (unsigned int)(model_random() % ALL_PAGES), i, missing = 0;
	bool open = true, ephemeral = false;
	struct tmem_stats stats;
	int64_t ret;

	for (i = 0; i < count; i++) {
		if (model_random() % 4 == 0)
			at.pool = (unsigned int)(model_random() % MODEL_POOLS);
		at.index = (at.index + (unsigned int)(model_random() % 4)) % MODEL_INDICES;
		places[i] = at;
		gets[i] = (struct tmem_get){.pool = at.pool, .key = key_of(at), .page = pages[i]};
		stamp_fill(pages[i], 1);
		open = open && model.pools[at.client][at.pool].open;
		ephemeral = ephemeral || !model.pools[at.client][at.pool].persistent;
	}
	ret = tmem_get_all(clients[at.client], gets, count);

	for (i = 0; i < count; i++) {
		taken[i] = *model_page(&model, places[i]);
		missing += model_get(&model, places[i]) == 0;
	}
	if (ret == 0) {
		assert_true(open && !missing);
		for (i = 0; i < count; i++) {
			stamp_pages_equal(pages[i], content_at(places[i]));
			expected[at.client].held -=
				!model.pools[at.client][places[i].pool].persistent;
		}
		expected[at.client].gets += count;
		return;
	}
	/* A page that is missing may be one that was evicted; which, is not said. */
	tmem_client_stats(clients[at.client], &stats);
	assert_int_equal(ret, open ? -TIDEPOOL_ENOENT : -TIDEPOOL_ENODEV);
	assert_true(missing || !open || (ephemeral && check_unknown(at.client)));
	assert_in_range(stats.misses - expected[at.client].misses, open ? missing : 0,
			open && ephemeral && check_unknown(at.client) ? count
			: open					      ? missing
								      : 0);
	expected[at.client].misses = stats.misses;
	while (i-- > 0) {
		stamp_expect(pages[i], 1);
		*model_page(&model, places[i]) = taken[i];
	}
}

/* A stamp of a page that has a frame, for those that are written in parts. */
static uint64_t stamp_framed(void)
{
	do {
		last_stamp += TMEM_PAGE_SIZE;
	} while (stamp_is_filled(last_stamp));
	return last_stamp;
}

static struct tmem_span span_choose(void)
{
	struct tmem_span span = {.length = 1 + (uint32_t)(model_random() % TMEM_PAGE_SIZE)};

	span.offset = (uint32_t)(model_random() % (TMEM_PAGE_SIZE - span.length + 1));
	span.at = (uint32_t)(model_random() % (TMEM_PAGE_SIZE - span.length + 1));
	return span;
}

static void write_do(struct model_place at)
{
	unsigned char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
	bool framed = check_lacks_frame(at), held;
	struct tmem_span span = span_choose();
	uint64_t failures = model_host.failures;
	struct tmem_key key = key_of(at);
	int64_t ret;

	memset(page, (int)(model_random() % 256), sizeof(page));
	ret = tmem_write(clients[at.client], at.pool, &key, &span, page);
	if (!model.pools[at.client][at.pool].open) {
		assert_int_equal(ret, -TIDEPOOL_ENODEV);
		return;
	}
	held = ret == 0 && check_replaced(at);
	check_put(at, ret, framed, failures);
	if (ret)
		return;
	if (!held)
		memset(content_at(at), 0, TMEM_PAGE_SIZE);
	memcpy(content_at(at) + span.offset, page + span.at, span.length);
	model_put(&model, at, stamp_framed());
}

static void exchange_do(struct model_place at)
{
	unsigned char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
	unsigned char wanted[TMEM_PAGE_SIZE];
	struct tmem_span span = span_choose();
	uint64_t failures = model_host.failures;
	struct tmem_key key = key_of(at);
	int mark = (int)(model_random() % 256);
	int64_t ret;

	memset(page, mark, sizeof(page));
	memset(wanted, mark, sizeof(wanted));
	ret = tmem_exchange(clients[at.client], at.pool, &key, &span, page);
	if (!model.pools[at.client][at.pool].open) {
		assert_int_equal(ret, -TIDEPOOL_ENODEV);
	} else if (check_missing(at, ret)) {
		expected[at.client].misses++;
	} else {
		assert_true(ret == 0 || ret == -TIDEPOOL_ENOMEM);
		check_exchange(at, ret != 0, failures);
		expected[at.client].refused += ret != 0;
		expected[at.client].puts += ret == 0;
		expected[at.client].gets += ret == 0;
	}
	if (ret == 0) {
		memcpy(wanted + span.at, content_at(at) + span.offset, span.length);
		memset(content_at(at) + span.offset, mark, span.length);
		model_put(&model, at, stamp_framed());
	}
	stamp_pages_equal(page, wanted);
}

static void read_do(struct model_place at)
{
	unsigned char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
	unsigned char wanted[TMEM_PAGE_SIZE];
	struct tmem_span span = span_choose();
	struct tmem_key key = key_of(at);
	int64_t ret;

	memset(page, 0xee, sizeof(page));
	memset(wanted, 0xee, sizeof(wanted));
	ret = tmem_read(clients[at.client], at.pool, &key, &span, page);
	if (!model.pools[at.client][at.pool].open) {
		assert_int_equal(ret, -TIDEPOOL_ENODEV);
	} else if (check_missing(at, ret)) {
		expected[at.client].misses++;
	} else {
		assert_int_equal(ret, 0);
		memcpy(wanted + span.at, content_at(at) + span.offset, span.length);
		expected[at.client].gets++;
	}
	stamp_pages_equal(page, wanted);
}

static void flush_page_do(struct model_place at)
{
	struct tmem_key key = key_of(at);
	int64_t ret = tmem_flush_page(clients[at.client], at.pool, &key);
	uint64_t n;

	if (!model.pools[at.client][at.pool].open) {
		assert_int_equal(ret, -TIDEPOOL_ENODEV);
		return;
	}
	if (ret == 0 && model_page(&model, at)->stamp)
		check_evicted(at);
	n = model_flush_page(&model, at);
	assert_int_equal(ret, n);
	expected[at.client].flushed += n;
	expected[at.client].held -= n;
}

/* The pages that the step dropped since the last account; no more than a step may. */
static void step_check(struct model_place at)
{
	struct tmem_stats stats;
	uint64_t n;

	tmem_client_stats(clients[at.client], &stats);
	n = stats.flushed - expected[at.client].flushed;
	assert_true(n <= TMEM_STEP);
	expected[at.client].flushed += n;
	expected[at.client].held -= n;
}

static void flush_object_do(struct model_place at)
{
	struct tmem_key key = key_of(at);
	uint64_t before = expected[at.client].flushed;
	int64_t ret;

	do {
		ret = tmem_flush_object(clients[at.client], at.pool, key.oid);
		step_check(at);
		check_accounts();
	} while (ret == -TIDEPOOL_EAGAIN);
	if (!model.pools[at.client][at.pool].open) {
		assert_int_equal(ret, -TIDEPOOL_ENODEV);
		return;
	}
	assert_int_equal(ret, 0);
	check_flush(at, model_flush_object(&model, at), expected[at.client].flushed - before);
}

static uint64_t range_choose(void)
{
	switch (model_random() % 4) {
	case 0:
		return 1;
	case 1:
		return 1 + model_random() % INT64_MAX;
	default:
		return 1 + model_random() % 400; /* looked up, or walked */
	}
}

static void flush_range_do(struct model_place at)
{
	struct tmem_key key = key_of(at);
	uint64_t before = expected[at.client].flushed, dropped = 0;
	uint64_t first = key.index, count = range_choose(), left;
	int64_t ret;

	if (first + count - 1 < first)
		count = UINT64_MAX - first + 1;
	for (left = count; left > 0; left -= (uint64_t)ret) {
		ret = tmem_flush_range(clients[at.client], at.pool, key.oid, key.index, left);
		step_check(at);
		check_accounts();
		if (!model.pools[at.client][at.pool].open) {
			assert_int_equal(ret, -TIDEPOOL_ENODEV);
			return;
		}
		assert_true(ret > 0 && (uint64_t)ret <= left);
		key.index += (uint64_t)ret;
	}
	for (at.index = 0; at.index < MODEL_INDICES; at.index++)
		if (key_of(at).index - first < count)
			dropped += model_flush_page(&model, at);
	check_flush(at, dropped, expected[at.client].flushed - before);
}

static void pool_create_do(struct model_place at)
{
	static const uint64_t uuid[2];
	uint64_t failures = model_host.failures, flags = TIDEPOOL_POOL_VERSION;
	unsigned int lowest = 0;
	int64_t ret;

	while (lowest < MODEL_POOLS && model.pools[at.client][lowest].open)
		lowest++;
	if (lowest == MODEL_POOLS)
		return;
	if (model_random() % 2)
		flags |= TIDEPOOL_POOL_PERSISTENT;
	ret = tmem_pool_create(clients[at.client], flags, uuid);
	check_evictions(at.client, ret < 0, true, POOL_FRAMES, failures);
	if (ret < 0) {
		assert_int_equal(ret, -TIDEPOOL_ENOMEM);
		return;
	}
	assert_int_equal(ret, lowest);
	model.pools[at.client][lowest].open = true;
	model.pools[at.client][lowest].persistent = flags & TIDEPOOL_POOL_PERSISTENT;
	expected[at.client].pools++;
}

static void pool_destroy_do(struct model_place at)
{
	struct model_pool *pool = &model.pools[at.client][at.pool];
	uint64_t before = expected[at.client].flushed;
	int64_t ret;

	expected[at.client].pools -= pool->open;
	do {
		ret = tmem_pool_destroy(clients[at.client], at.pool);
		step_check(at);
		check_accounts();
	} while (ret == -TIDEPOOL_EAGAIN);
	assert_int_equal(ret, pool->open ? 0 : -TIDEPOOL_ENODEV);
	check_flush(at, model_flush_pool(&model, at), expected[at.client].flushed - before);
	pool->open = false;
}

static void call_do(void)
{
	struct model_place at = {
		.client = (unsigned int)(model_random() % MODEL_CLIENTS),
		.pool = (unsigned int)(model_random() % MODEL_POOLS),
		.object = (unsigned int)(model_random() % MODEL_OBJECTS),
		.index = (unsigned int)(model_random() % MODEL_INDICES),
	};
	uint64_t freed = model_host.freed;
	unsigned int choice = (unsigned int)(model_random() % 1000);
	bool one_step = choice < 970;

	if (choice < 430)
		put_do(at);
	else if (choice < 490)
		write_do(at);
	else if (choice < 520)
		exchange_do(at);
	else if (choice < 550)
		read_do(at);
	else if (choice < 700)
		get_do(at);
	else if (choice < 800)
		get_all_do(at);
	else if (choice < 900)
		flush_page_do(at);
	else if (choice < 970)
		pool_create_do(at);
	else if (choice < 985)
		flush_object_do(at);
	else if (choice < 995)
		flush_range_do(at);
	else
		pool_destroy_do(at);
	if (one_step)
		assert_true(model_host.freed <= freed + 1);
}

static uint64_t cap_choose(void)
{
	switch (model_random() % 4) {
	case 0:
		return UINT64_MAX;
	case 1:
		return model_random() % 20;
	default:
		return model_random() % 2000;
	}
}

static uint64_t reserve_choose(void)
{
	return model_random() % 2 ? model_random() % 700 : 0;
}

static void round_run(uint64_t seed)
{
	unsigned int c, i;

	model_random_seed(seed);
	check_start();
	assert_int_equal(model_host_start(UINT64_MAX), 0);
	for (c = 0; c < MODEL_CLIENTS; c++) {
		struct tmem_limits limits = {.cap = caps[c] = cap_choose(),
					     .reserve = reserves[c] = reserve_choose(),
					     .compress = compresses[c] = model_random() % 2};

		clients[c] = tmem_client_create(&limits);
		assert_non_null(clients[c]);
		while (tmem_client_prepare(clients[c]) == -TIDEPOOL_EAGAIN)
			;
	}
	model_host_narrow(seed);

	for (i = 0; i < CALLS; i++) {
		call_do();
		check_accounts();
		if (model_random() % IDLE_EACH == 0) {
			(void)tmem_idle_step(model_random() % 2);
			check_accounts();
		}
	}

	for (c = 0; c < MODEL_CLIENTS; c++)
		while (tmem_client_destroy(clients[c]) == -TIDEPOOL_EAGAIN)
			;
	assert_int_equal(model_host.live, 1);
	model_host_stop();
}

int main(void)
{
	return model_rounds(ROUNDS, round_run);
}

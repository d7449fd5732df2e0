/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page store against the reference model (tests/unit/model.h): the input chooses limits, then
 * calls, four bytes each. Which ephemeral pages the store drops is its own business here; what it
 * returns must be what was put last, and persistent pages must be there.
 */
#include <string.h>

#include <tidepool/abi.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/store_host.h"
#include "tests/unit/model.h"

#define CLIENTS	       2u
#define CLIENT_FRAMES  2u /* of a client with nothing in it */
#define HEADER	       4u /* bytes of the input that set limits */
#define CALL	       4u /* bytes of a call */
#define ACCOUNTS_EVERY (16u * CALL)
#define WORDS	       (TMEM_PAGE_SIZE / sizeof(uint64_t))

static struct model model;
static struct tmem_client *clients[CLIENTS];
static uint64_t caps[CLIENTS];
static uint64_t clock; /* of puts: makes contents unique */

static struct tmem_key key_of(struct model_place at)
{
	struct tmem_key key = {.index = at.index};

	key.oid[at.object % 3] = at.object / 3 + 1;
	if (at.index % 3 == 2)
		key.index = UINT64_MAX - at.index;
	return key;
}

/* What a stamp stands for: one word all over, contents that many pages share, or its own. */
static void page_fill(uint64_t *page, uint64_t stamp)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++) {
		switch (stamp % 4) {
		case 0:
			page[i] = stamp / 4 % 3;
			break;
		case 1:
			page[i] = i / 8 + stamp / 4 % 3;
			break;
		case 2:
			page[i] = i == WORDS - 1 ? stamp : 0;
			break;
		default:
			page[i] = stamp * 0x9e3779b97f4a7c15ull * (i + 1);
		}
	}
}

static void page_expect(const uint64_t *page, uint64_t stamp)
{
	uint64_t wanted[WORDS];

	page_fill(wanted, stamp);
	check(memcmp(page, wanted, sizeof(wanted)) == 0);
}

static struct model_pool *pool_of(struct model_place at)
{
	return &model.pools[at.client][at.pool];
}

static struct tmem_stats stats_of(unsigned int client)
{
	struct tmem_stats stats;

	tmem_client_stats(clients[client], &stats);
	return stats;
}

static void put_do(struct model_place at, uint8_t contents)
{
	static uint64_t page[WORDS] __attribute__((aligned(4096)));
	struct tmem_key key = key_of(at);
	uint64_t stamp = ++clock * 4 + contents % 4;
	bool held = model_page(&model, at)->stamp != 0;
	int64_t ret;

	page_fill(page, stamp);
	ret = tmem_put(clients[at.client], at.pool, &key, page);
	if (!pool_of(at)->open) {
		check(ret == -TIDEPOOL_ENODEV);
		return;
	}
	check(ret == 0 || ret == -TIDEPOOL_ENOMEM || (ret == -TIDEPOOL_ENOSPC && held));
	/* -ENOMEM says that the key held nothing: so may an ephemeral one that was evicted. */
	check(ret != -TIDEPOOL_ENOMEM || !held || !pool_of(at)->persistent);
	if (ret)
		model_page(&model, at)->stamp = 0;
	else
		model_put(&model, at, stamp);
}

static void get_do(struct model_place at)
{
	static uint64_t page[WORDS] __attribute__((aligned(4096)));
	struct tmem_key key = key_of(at);
	const uint64_t untouched = UINT64_MAX;
	uint64_t stamp;
	int64_t ret;

	page_fill(page, untouched);
	ret = tmem_get(clients[at.client], at.pool, &key, page);
	if (!pool_of(at)->open) {
		check(ret == -TIDEPOOL_ENODEV);
		page_expect(page, untouched);
		return;
	}
	stamp = model_page(&model, at)->stamp;
	if (ret == 0) {
		check(stamp != 0);
		page_expect(page, stamp);
		model_get(&model, at);
	} else {
		check(ret == -TIDEPOOL_ENOENT);
		check(!stamp || !pool_of(at)->persistent);
		model_page(&model, at)->stamp = 0;
		page_expect(page, untouched);
	}
}

static void flush_page_do(struct model_place at)
{
	struct tmem_key key = key_of(at);
	int64_t ret = tmem_flush_page(clients[at.client], at.pool, &key);
	uint64_t held;

	if (!pool_of(at)->open) {
		check(ret == -TIDEPOOL_ENODEV);
		return;
	}
	held = model_flush_page(&model, at);
	check(ret == 0 || ret == 1);
	check(ret == (int64_t)held || (held && !pool_of(at)->persistent));
}

static void flush_object_do(struct model_place at)
{
	struct tmem_key key = key_of(at);
	int64_t ret;

	do
		ret = tmem_flush_object(clients[at.client], at.pool, key.oid);
	while (ret == -TIDEPOOL_EAGAIN);
	check(ret == (pool_of(at)->open ? 0 : -TIDEPOOL_ENODEV));
	if (ret == 0)
		model_flush_object(&model, at);
}

static void pool_create_do(struct model_place at, uint8_t flags)
{
	static const uint64_t uuid[2];
	bool persistent = flags % 2;
	int64_t ret;

	/* The model's pools are fewer than the store's. */
	for (at.pool = 0; at.pool < MODEL_POOLS && pool_of(at)->open; at.pool++)
		;
	if (at.pool == MODEL_POOLS)
		return;
	ret = tmem_pool_create(clients[at.client],
			       TIDEPOOL_POOL_VERSION | (persistent ? TIDEPOOL_POOL_PERSISTENT : 0),
			       uuid);
	check(ret == at.pool || ret == -TIDEPOOL_ENOMEM);
	if (ret >= 0) {
		pool_of(at)->open = true;
		pool_of(at)->persistent = persistent;
	}
}

static void pool_destroy_do(struct model_place at)
{
	int64_t ret;

	do
		ret = tmem_pool_destroy(clients[at.client], at.pool);
	while (ret == -TIDEPOOL_EAGAIN);
	check(ret == (pool_of(at)->open ? 0 : -TIDEPOOL_ENODEV));
	model_flush_pool(&model, at);
	pool_of(at)->open = false;
}

/* Many pages of one object: more than a bounded step drops. */
static void put_many_do(struct model_place at, uint8_t contents)
{
	for (at.index = 0; at.index < MODEL_INDICES; at.index++)
		put_do(at, contents);
}

/* Accounts: the cap holds, persistent pages are all counted, none is counted that was not put. */
static void accounts_check(unsigned int client)
{
	struct tmem_stats stats = stats_of(client);
	uint64_t all = model_count(&model, client, false);
	uint64_t ephemeral = model_count(&model, client, true);

	check(stats.charged <= caps[client] || stats.charged == CLIENT_FRAMES);
	check(stats.held <= all && stats.held >= all - ephemeral);
	check(all - stats.held <= stats.evicted);
}

static void call_do(const uint8_t *call)
{
	struct model_place at = {
		.client = call[0] >> 7,
		.pool = (unsigned int)(call[1] >> 4) % MODEL_POOLS,
		.object = (unsigned int)(call[1] & 15) % MODEL_OBJECTS,
		.index = call[2] % MODEL_INDICES,
	};

	switch (call[0] % 16) {
	case 0:
	case 1:
		pool_create_do(at, call[3]);
		break;
	case 2:
		pool_destroy_do(at);
		break;
	case 3:
		flush_object_do(at);
		break;
	case 4:
	case 5:
		flush_page_do(at);
		break;
	case 6:
		put_many_do(at, call[3]);
		break;
	case 7:
	case 8:
	case 9:
	case 10:
		get_do(at);
		break;
	default:
		put_do(at, call[3]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int c;
	size_t i;

	if (size < HEADER)
		return 0;
	memset(&model, 0, sizeof(model));
	clock = 0;
	fuzz_host_start(1 + data[2] % FUZZ_HOST_BLOCKS);
	for (c = 0; c < CLIENTS; c++) {
		caps[c] = data[c] < 64 ? UINT64_MAX : data[c] - 64u;
		clients[c] = tmem_client_create(&(const struct tmem_limits){.cap = caps[c]});
		check(clients[c] != NULL);
	}
	fuzz_host_refuse(data[3]);
	for (i = HEADER; i + CALL <= size; i += CALL) {
		call_do(data + i);
		/* Counting the model's pages takes longer than the calls. */
		if (i % ACCOUNTS_EVERY == 0)
			accounts_check(data[i] >> 7);
	}
	for (c = 0; c < CLIENTS; c++)
		accounts_check(c);
	for (c = 0; c < CLIENTS; c++)
		while (tmem_client_destroy(clients[c]) == -TIDEPOOL_EAGAIN)
			;
	fuzz_host_stop();
	return 0;
}

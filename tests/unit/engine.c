/* SPDX-License-Identifier: BSD-2-Clause */
#include <stddef.h>

#include <tidepool/abi.h>

#include "tests/unit/engine.h"
#include "tests/unit/engine_state.h"

#define HUGE_FLAGS (9ull << TIDEPOOL_POOL_ORDER_SHIFT)

struct model engine_model;
const struct engine_store *engine_with;
static unsigned int nr_clients;
static uint64_t clock; /* of puts: makes contents unique */
uint64_t engine_page[ENGINE_WORDS] __attribute__((aligned(4096)));

void engine_expect(bool good, const char *what, int64_t value)
{
	if (!good)
		engine_with->fail(what, value);
}

struct model_pool *engine_pool_of(struct model_place at)
{
	return &engine_model.pools[at.client][at.pool];
}

struct model_page *engine_page_of(struct model_place at)
{
	return engine_pool_of(at)->shared ? &engine_model.shared.pages[at.object][at.index]
					  : model_page(&engine_model, at);
}

/* Whether the store may have dropped the page. */
static bool may_vanish(struct model_place at)
{
	return !engine_pool_of(at)->persistent;
}

struct tmem_key engine_key_of(struct model_place at)
{
	struct tmem_key key = {.index = at.index};

	key.oid[at.object % 3] = at.object / 3 + 1;
	if (!engine_pool_of(at)->huge && at.index % 3 == 2)
		key.index = UINT64_MAX - at.index;
	return key;
}

/* ---- contents ---------------------------------------------------------------------------------
 */

/* What a stamp stands for: one word all over, contents that many pages share, or its own. */
static uint64_t word_of(uint64_t stamp, unsigned int i)
{
	switch (stamp % 4) {
	case 0:
		return stamp / 4 % 3 * 0x100000001ull;
	case 1:
		return i / 8 + stamp / 4 % 3;
	case 2:
		return i == ENGINE_WORDS - 1 ? stamp : 0;
	default:
		return stamp * 0x9e3779b97f4a7c15ull * (i + 1);
	}
}

static void page_fill(uint64_t stamp)
{
	unsigned int i;

	for (i = 0; i < ENGINE_WORDS; i++)
		engine_page[i] = word_of(stamp, i);
}

static bool page_holds(uint64_t stamp)
{
	unsigned int i;

	for (i = 0; i < ENGINE_WORDS; i++)
		if (engine_page[i] != word_of(stamp, i))
			return false;
	return true;
}

/* ---- what an answer means
 * ------------------------------------------------------------------------ */

/* The answer to a put of @stamp, whole or in steps. */
void engine_put_answer(struct model_place at, uint64_t stamp, int64_t ret)
{
	bool held = engine_page_of(at)->stamp != 0, huge = engine_pool_of(at)->huge;

	if (engine_model.frozen[at.client]) {
		engine_expect(ret == -TIDEPOOL_EFROZEN || ret == -TIDEPOOL_ENOSPC, "put, frozen",
			      ret);
		engine_expect(ret != -TIDEPOOL_ENOSPC || held || huge, "put, frozen, nothing held",
			      ret);
		engine_expect(ret != -TIDEPOOL_EFROZEN || !held || may_vanish(at),
			      "put, frozen, held", ret);
	} else {
		engine_expect(ret == 0 || ret == -TIDEPOOL_ENOMEM ||
				      (ret == -TIDEPOOL_ENOSPC && (held || huge)),
			      "put", ret);
		/* It says that the key held nothing: so may an ephemeral page that was evicted. */
		engine_expect(ret != -TIDEPOOL_ENOMEM || !held || huge || may_vanish(at),
			      "put, held", ret);
	}
	engine_page_of(at)->stamp = ret ? 0 : stamp;
}

/* The answer to a get. Returns the stamp that the page must be, or 0: there is none. */
uint64_t engine_get_answer(struct model_place at, int64_t ret)
{
	uint64_t stamp = engine_page_of(at)->stamp;

	if (ret) {
		engine_expect(ret == -TIDEPOOL_ENOENT, "get", ret);
		engine_expect(!stamp || may_vanish(at), "get of a persistent page", ret);
		engine_page_of(at)->stamp = 0;
		return 0;
	}
	engine_expect(stamp != 0, "get of what is not there", ret);
	if (!engine_pool_of(at)->persistent && !engine_pool_of(at)->shared)
		engine_page_of(at)->stamp = 0;
	return stamp;
}

void engine_flush_answer(struct model_place at, int64_t ret)
{
	bool held = engine_page_of(at)->stamp != 0;

	engine_expect(ret == held || (ret == 0 && may_vanish(at)), "flush", ret);
	engine_page_of(at)->stamp = 0;
}

/* ---- calls
 * ---------------------------------------------------------------------------------------- */

static void put_do(struct model_place at, uint64_t stamp)
{
	struct tmem_key key = engine_key_of(at);

	page_fill(stamp);
	engine_put_answer(at, stamp, engine_with->put(at.client, at.pool, &key, engine_page));
}

static void get_do(struct model_place at)
{
	const uint64_t untouched = UINT64_MAX;
	struct tmem_key key = engine_key_of(at);
	uint64_t wanted;
	int64_t ret;

	page_fill(untouched);
	ret = engine_with->get(at.client, at.pool, &key, engine_page);
	wanted = engine_get_answer(at, ret);
	engine_expect(page_holds(wanted ? wanted : untouched), "get: contents", ret);
}

/* A read leaves the page where it is, an ephemeral one too. */
static void read_do(struct model_place at)
{
	const uint64_t untouched = UINT64_MAX;
	struct tmem_key key = engine_key_of(at);
	uint64_t wanted = engine_page_of(at)->stamp;
	int64_t ret;

	page_fill(untouched);
	ret = engine_with->read(at.client, at.pool, &key, 0, engine_page);
	(void)engine_get_answer(at, ret);
	if (ret)
		wanted = untouched;
	else
		engine_page_of(at)->stamp = wanted;
	engine_expect(page_holds(wanted), "read: contents", ret);
}

static void write_do(struct model_place at, uint64_t stamp)
{
	struct tmem_key key = engine_key_of(at);

	page_fill(stamp);
	engine_put_answer(at, stamp, engine_with->write(at.client, at.pool, &key, 0, engine_page));
}

/* One that is refused changes nothing: neither the page nor what the guest has. */
static void exchange_do(struct model_place at, uint64_t stamp)
{
	struct tmem_key key = engine_key_of(at);
	uint64_t wanted = engine_page_of(at)->stamp;
	int64_t ret;

	page_fill(stamp);
	ret = engine_with->exchange(at.client, at.pool, &key, 0, engine_page);
	if (ret == -TIDEPOOL_ENOENT || ret == 0)
		(void)engine_get_answer(at, ret);
	else
		engine_expect(ret == (engine_model.frozen[at.client] ? -TIDEPOOL_EFROZEN
								     : -TIDEPOOL_ENOMEM),
			      "exchange", ret);
	engine_expect(ret || !engine_model.frozen[at.client], "exchange, frozen", ret);
	if (ret == 0)
		engine_page_of(at)->stamp = stamp;
	engine_expect(page_holds(ret ? stamp : wanted), "exchange: contents", ret);
}

void engine_flush_range(struct model_place at, uint64_t count)
{
	struct tmem_key key = engine_key_of(at);
	const uint64_t first = key.index;
	uint64_t left;
	int64_t ret;

	if (count > UINT64_MAX - first)
		count = UINT64_MAX - first + 1;
	for (left = count; left > 0; left -= (uint64_t)ret, key.index += (uint64_t)ret) {
		do
			ret = engine_with->flush_range(at.client, at.pool, &key, left);
		while (ret == -TIDEPOOL_EAGAIN && engine_pool_of(at)->huge);
		engine_expect(ret > 0 && (uint64_t)ret <= left, "flush range", ret);
	}
	for (at.index = 0; at.index < MODEL_INDICES; at.index++)
		if (engine_key_of(at).index - first < count)
			engine_page_of(at)->stamp = 0;
}

static void flush_object_do(struct model_place at)
{
	struct tmem_key key = engine_key_of(at);
	int64_t ret;

	do
		ret = engine_with->flush_object(at.client, at.pool, key.oid);
	while (ret == -TIDEPOOL_EAGAIN);
	engine_expect(ret == 0, "flush object", ret);
	for (at.index = 0; at.index < MODEL_INDICES; at.index++)
		engine_page_of(at)->stamp = 0;
}

/* What all operations answer in a pool that is not there, or whose pages are of the other size. */
static void elsewhere_do(struct model_place at, int64_t expected)
{
	struct tmem_key key = engine_key_of(at);
	int64_t ret = engine_with->put(at.client, at.pool, &key, engine_page);

	engine_expect(ret == expected, "put, no such pool", ret);
	ret = engine_with->get(at.client, at.pool, &key, engine_page);
	engine_expect(ret == expected, "get, no such pool", ret);
	ret = engine_with->flush_page(at.client, at.pool, &key);
	engine_expect(ret == expected, "flush, no such pool", ret);
}

static bool is_shared_open(unsigned int client)
{
	unsigned int p;

	for (p = 0; p < MODEL_POOLS; p++)
		if (engine_model.pools[client][p].shared)
			return true;
	return false;
}

static void pool_create_do(struct model_place at, unsigned int kind)
{
	static const uint64_t no_name[2];
	uint64_t flags = TIDEPOOL_POOL_VERSION | (kind & 1 ? TIDEPOOL_POOL_PERSISTENT : 0);
	bool huge = kind % 16 >= 14 && engine_with->huge_put;
	bool shared = kind % 8 == 4 && engine_with->shared && !is_shared_open(at.client);
	struct model_pool *pool;
	int64_t ret;

	/* The model's pools are fewer than the store's. */
	for (at.pool = 0; at.pool < MODEL_POOLS && engine_pool_of(at)->open; at.pool++)
		;
	if (at.pool == MODEL_POOLS)
		return;
	flags |= huge ? HUGE_FLAGS : 0;
	flags |= shared ? TIDEPOOL_POOL_SHARED : 0;
	ret = engine_with->pool_create(at.client, flags, shared ? engine_with->shared : no_name);
	if (engine_model.frozen[at.client]) {
		engine_expect(ret == -TIDEPOOL_EFROZEN, "new pool, frozen", ret);
		return;
	}
	engine_expect(ret == at.pool || (ret == -TIDEPOOL_ENOMEM && !shared), "new pool", ret);
	if (ret < 0)
		return;
	pool = engine_pool_of(at);
	pool->open = true;
	pool->persistent = flags & TIDEPOOL_POOL_PERSISTENT;
	pool->huge = huge;
	pool->shared = shared;
}

static void pool_destroy_do(struct model_place at)
{
	struct model_pool *pool = engine_pool_of(at);
	int64_t ret;

	do
		ret = engine_with->pool_destroy(at.client, at.pool);
	while (ret == -TIDEPOOL_EAGAIN);
	engine_expect(ret == (pool->open ? 0 : -TIDEPOOL_ENODEV), "destroy", ret);
	if (!pool->shared)
		model_flush_pool(&engine_model, at);
	*pool = (struct model_pool){.open = false};
}

static void freeze_do(unsigned int client)
{
	if (!engine_with->freeze)
		return;
	engine_model.frozen[client] = !engine_model.frozen[client];
	engine_with->freeze(client, engine_model.frozen[client]);
}

/* Elsewhere it is not frozen, has its persistent pages, and no shared pool open. */
static void move_do(struct model_place at)
{
	if (!engine_with->move || is_shared_open(at.client) || !engine_with->move(at.client))
		return;
	engine_model.frozen[at.client] = false;
	for (at.pool = 0; at.pool < MODEL_POOLS; at.pool++)
		if (!engine_pool_of(at)->persistent)
			model_flush_pool(&engine_model, at);
}

static void idle_do(bool scarce)
{
	if (engine_with->idle)
		engine_with->idle(scarce);
}

/* The operations that seldom anybody uses. */
static void rare_call(struct model_place at, unsigned int choice, uint64_t stamp)
{
	switch (choice % 4) {
	case 0:
		read_do(at);
		break;
	case 1:
		write_do(at, stamp);
		break;
	case 2:
		exchange_do(at, stamp);
		break;
	default:
		engine_flush_range(at, 1 + choice / 4);
	}
}

/* Operations on pages, in a pool that is open. @more: chooses among the rare ones. */
static void page_call(struct model_place at, unsigned int choice, unsigned int more, uint64_t stamp)
{
	struct tmem_key key = engine_key_of(at);

	switch (choice) {
	case 0:
		flush_object_do(at);
		break;
	case 1:
	case 2:
		engine_flush_answer(at, engine_with->flush_page(at.client, at.pool, &key));
		break;
	case 3: /* many of one object: more than a bounded step drops */
		for (at.index = 0; at.index < MODEL_INDICES; at.index++)
			put_do(at, ++clock * 4 + stamp % 4);
		break;
	case 4:
	case 5:
	case 6:
		get_do(at);
		break;
	case 7:
		rare_call(at, more, stamp);
		break;
	default:
		put_do(at, stamp);
	}
}

void engine_start(const struct engine_store *with, unsigned int clients)
{
	static const struct model empty;

	engine_model = empty;
	engine_with = with;
	nr_clients = clients;
	clock = 0;
}

void engine_call(const uint8_t call[ENGINE_CALL])
{
	struct model_place at = {
		.client = (unsigned int)(call[0] >> 5) % nr_clients,
		.pool = (unsigned int)(call[1] >> 4) % MODEL_POOLS,
		.object = (unsigned int)(call[1] & 15) % MODEL_OBJECTS,
		.index = call[2] % MODEL_INDICES,
	};
	unsigned int choice = call[0] % 16;
	uint64_t stamp = ++clock * 4 + call[3] % 4;

	if (choice < 2)
		pool_create_do(at, call[3]);
	else if (choice == 2 && call[3] % 8 == 0)
		freeze_do(at.client);
	else if (choice == 2 && call[3] % 8 == 1)
		move_do(at);
	else if (choice == 2 && call[3] % 8 < 4)
		pool_destroy_do(at);
	else if (choice == 2 && call[3] % 8 < 6)
		idle_do(call[3] & 1);
	else if (!engine_pool_of(at)->open)
		elsewhere_do(at, -TIDEPOOL_ENODEV);
	else if (engine_pool_of(at)->huge && choice == 3)
		flush_object_do(at);
	else if (engine_pool_of(at)->huge && choice == 4 && engine_with->move)
		elsewhere_do(at, -TIDEPOOL_EINVAL);
	else if (engine_pool_of(at)->huge)
		engine_huge_call(at, call[3], stamp);
	else
		page_call(at, choice - 2, call[3] / 4, stamp);
}

uint64_t engine_count(unsigned int client, bool persistent)
{
	uint64_t count = 0;
	unsigned int p, o, i;

	for (p = 0; p < MODEL_POOLS; p++) {
		const struct model_pool *pool = &engine_model.pools[client][p];

		if (pool->huge || (persistent && !pool->persistent))
			continue;
		for (o = 0; o < MODEL_OBJECTS; o++)
			for (i = 0; i < MODEL_INDICES; i++)
				count += pool->pages[o][i].stamp != 0;
	}
	return count;
}

bool engine_has_huge(unsigned int client)
{
	unsigned int p;

	for (p = 0; p < MODEL_POOLS; p++)
		if (engine_model.pools[client][p].huge)
			return true;
	return false;
}

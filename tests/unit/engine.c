/* SPDX-License-Identifier: BSD-2-Clause */
#include <stddef.h>

#include <tidepool/abi.h>

#include "tests/unit/engine.h"
#include "tests/unit/model.h"

#define WORDS	   (TMEM_PAGE_SIZE / sizeof(uint64_t))
#define HUGE_FLAGS (9ull << TIDEPOOL_POOL_ORDER_SHIFT)
#define HUGE_KEYS  2u /* indices that are used in pools of 2 MiB pages */
#define STEPS_MAX  40u

static struct model model;
static const struct engine_store *store;
static unsigned int nr_clients;
static uint64_t clock; /* of puts: makes contents unique */
static uint64_t page[WORDS] __attribute__((aligned(4096)));

static void expect(bool good, const char *what, int64_t value)
{
	if (!good)
		store->fail(what, value);
}

static struct model_pool *pool_of(struct model_place at)
{
	return &model.pools[at.client][at.pool];
}

static struct model_page *page_of(struct model_place at)
{
	return pool_of(at)->shared ? &model.shared.pages[at.object][at.index]
				   : model_page(&model, at);
}

/* Whether the store may have dropped the page. */
static bool may_vanish(struct model_place at)
{
	return !pool_of(at)->persistent;
}

static struct tmem_key key_of(struct model_place at)
{
	struct tmem_key key = {.index = at.index};

	key.oid[at.object % 3] = at.object / 3 + 1;
	if (!pool_of(at)->huge && at.index % 3 == 2)
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
		return i == WORDS - 1 ? stamp : 0;
	default:
		return stamp * 0x9e3779b97f4a7c15ull * (i + 1);
	}
}

static void page_fill(uint64_t stamp)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		page[i] = word_of(stamp, i);
}

static bool page_holds(uint64_t stamp)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		if (page[i] != word_of(stamp, i))
			return false;
	return true;
}

static uint64_t *part_word(unsigned int part)
{
	return (uint64_t *)store->huge + part * WORDS + part % WORDS;
}

static void huge_fill(uint64_t stamp)
{
	unsigned int i;

	for (i = 0; i < ENGINE_PARTS; i++)
		*part_word(i) = stamp % 3 && i % 4 ? 0 : stamp * 512 + i;
}

static bool huge_holds(uint64_t stamp)
{
	unsigned int i;

	for (i = 0; i < ENGINE_PARTS; i++)
		if (*part_word(i) != (stamp % 3 && i % 4 ? 0 : stamp * 512 + i))
			return false;
	return true;
}

/* ---- what an answer means
 * ------------------------------------------------------------------------ */

/* The answer to a put of @stamp, whole or in steps. */
static void put_answer(struct model_place at, uint64_t stamp, int64_t ret)
{
	bool held = page_of(at)->stamp != 0, huge = pool_of(at)->huge;

	if (model.frozen[at.client]) {
		expect(ret == -TIDEPOOL_EFROZEN || ret == -TIDEPOOL_ENOSPC, "put, frozen", ret);
		expect(ret != -TIDEPOOL_ENOSPC || held || huge, "put, frozen, nothing held", ret);
		expect(ret != -TIDEPOOL_EFROZEN || !held || may_vanish(at), "put, frozen, held",
		       ret);
	} else {
		expect(ret == 0 || ret == -TIDEPOOL_ENOMEM ||
			       (ret == -TIDEPOOL_ENOSPC && (held || huge)),
		       "put", ret);
		/* It says that the key held nothing: so may an ephemeral page that was evicted. */
		expect(ret != -TIDEPOOL_ENOMEM || !held || huge || may_vanish(at), "put, held",
		       ret);
	}
	page_of(at)->stamp = ret ? 0 : stamp;
}

/* The answer to a get. Returns the stamp that the page must be, or 0: there is none. */
static uint64_t get_answer(struct model_place at, int64_t ret)
{
	uint64_t stamp = page_of(at)->stamp;

	if (ret) {
		expect(ret == -TIDEPOOL_ENOENT, "get", ret);
		expect(!stamp || may_vanish(at), "get of a persistent page", ret);
		page_of(at)->stamp = 0;
		return 0;
	}
	expect(stamp != 0, "get of what is not there", ret);
	if (!pool_of(at)->persistent && !pool_of(at)->shared)
		page_of(at)->stamp = 0;
	return stamp;
}

static void flush_answer(struct model_place at, int64_t ret)
{
	bool held = page_of(at)->stamp != 0;

	expect(ret == held || (ret == 0 && may_vanish(at)), "flush", ret);
	page_of(at)->stamp = 0;
}

/* ---- pages of 2 MiB -----------------------------------------------------------------------------
 */

static int64_t huge_put(struct model_place at, unsigned int steps)
{
	struct tmem_key key = key_of(at);
	int64_t ret = -TIDEPOOL_EAGAIN;
	uint64_t cookie = 0;

	while (steps-- > 0 && (ret > 0 || ret == -TIDEPOOL_EAGAIN)) {
		ret = store->huge_put(at.client, at.pool, &key, store->huge, cookie);
		if (ret > 0)
			cookie = (uint64_t)ret;
	}
	return ret;
}

static int64_t huge_get(struct model_place at)
{
	struct tmem_key key = key_of(at);
	int64_t ret = -TIDEPOOL_EAGAIN;
	unsigned int steps = STEPS_MAX;
	uint64_t cookie = 0;

	while (steps-- > 0 && (ret > 0 || ret == -TIDEPOOL_EAGAIN)) {
		ret = store->huge_get(at.client, at.pool, &key, store->huge, cookie);
		if (ret > 0)
			cookie = (uint64_t)ret;
	}
	return ret;
}

static void huge_call(struct model_place at, unsigned int choice, uint64_t stamp)
{
	struct tmem_key key;
	uint64_t wanted;
	int64_t ret;

	at.index %= HUGE_KEYS;
	key = key_of(at);
	switch (choice % 4) {
	case 0:
		huge_fill(stamp);
		/* One that is given up leaves nothing to be seen. */
		ret = huge_put(at, 1 + choice / 4 % 8);
		if (ret > 0 || ret == -TIDEPOOL_EAGAIN)
			page_of(at)->stamp = 0;
		else
			put_answer(at, stamp, ret);
		break;
	case 1:
		huge_fill(stamp);
		put_answer(at, stamp, huge_put(at, STEPS_MAX));
		break;
	case 2:
		huge_fill(0);
		ret = huge_get(at);
		wanted = get_answer(at, ret);
		expect(!wanted || huge_holds(wanted), "get of 2 MiB: contents", ret);
		break;
	default:
		do
			ret = store->huge_flush(at.client, at.pool, &key);
		while (ret == -TIDEPOOL_EAGAIN);
		flush_answer(at, ret);
	}
}

/* ---- calls
 * ---------------------------------------------------------------------------------------- */

static void put_do(struct model_place at, uint64_t stamp)
{
	struct tmem_key key = key_of(at);

	page_fill(stamp);
	put_answer(at, stamp, store->put(at.client, at.pool, &key, page));
}

static void get_do(struct model_place at)
{
	const uint64_t untouched = UINT64_MAX;
	struct tmem_key key = key_of(at);
	uint64_t wanted;
	int64_t ret;

	page_fill(untouched);
	ret = store->get(at.client, at.pool, &key, page);
	wanted = get_answer(at, ret);
	expect(page_holds(wanted ? wanted : untouched), "get: contents", ret);
}

/* A read leaves the page where it is, an ephemeral one too. */
static void read_do(struct model_place at)
{
	const uint64_t untouched = UINT64_MAX;
	struct tmem_key key = key_of(at);
	uint64_t wanted = page_of(at)->stamp;
	int64_t ret;

	page_fill(untouched);
	ret = store->read(at.client, at.pool, &key, page);
	(void)get_answer(at, ret);
	if (ret)
		wanted = untouched;
	else
		page_of(at)->stamp = wanted;
	expect(page_holds(wanted), "read: contents", ret);
}

static void write_do(struct model_place at, uint64_t stamp)
{
	struct tmem_key key = key_of(at);

	page_fill(stamp);
	put_answer(at, stamp, store->write(at.client, at.pool, &key, page));
}

/* One that is refused changes nothing: neither the page nor what the guest has. */
static void exchange_do(struct model_place at, uint64_t stamp)
{
	struct tmem_key key = key_of(at);
	uint64_t wanted = page_of(at)->stamp;
	int64_t ret;

	page_fill(stamp);
	ret = store->exchange(at.client, at.pool, &key, page);
	if (ret == -TIDEPOOL_ENOENT || ret == 0)
		(void)get_answer(at, ret);
	else
		expect(ret == (model.frozen[at.client] ? -TIDEPOOL_EFROZEN : -TIDEPOOL_ENOMEM),
		       "exchange", ret);
	expect(ret || !model.frozen[at.client], "exchange, frozen", ret);
	if (ret == 0)
		page_of(at)->stamp = stamp;
	expect(page_holds(ret ? stamp : wanted), "exchange: contents", ret);
}

static void flush_range_do(struct model_place at, uint64_t count)
{
	struct tmem_key key = key_of(at);
	const uint64_t first = key.index;
	uint64_t left;
	int64_t ret;

	if (count > UINT64_MAX - first)
		count = UINT64_MAX - first + 1;
	for (left = count; left > 0; left -= (uint64_t)ret, key.index += (uint64_t)ret) {
		ret = store->flush_range(at.client, at.pool, &key, left);
		expect(ret > 0 && (uint64_t)ret <= left, "flush range", ret);
	}
	for (at.index = 0; at.index < MODEL_INDICES; at.index++)
		if (key_of(at).index - first < count)
			page_of(at)->stamp = 0;
}

static void flush_object_do(struct model_place at)
{
	struct tmem_key key = key_of(at);
	int64_t ret;

	do
		ret = store->flush_object(at.client, at.pool, key.oid);
	while (ret == -TIDEPOOL_EAGAIN);
	expect(ret == 0, "flush object", ret);
	for (at.index = 0; at.index < MODEL_INDICES; at.index++)
		page_of(at)->stamp = 0;
}

/* What all operations answer in a pool that is not there, or whose pages are of the other size. */
static void elsewhere_do(struct model_place at, int64_t expected)
{
	struct tmem_key key = key_of(at);
	int64_t ret = store->put(at.client, at.pool, &key, page);

	expect(ret == expected, "put, no such pool", ret);
	ret = store->get(at.client, at.pool, &key, page);
	expect(ret == expected, "get, no such pool", ret);
	ret = store->flush_page(at.client, at.pool, &key);
	expect(ret == expected, "flush, no such pool", ret);
}

static bool is_shared_open(unsigned int client)
{
	unsigned int p;

	for (p = 0; p < MODEL_POOLS; p++)
		if (model.pools[client][p].shared)
			return true;
	return false;
}

static void pool_create_do(struct model_place at, unsigned int kind)
{
	static const uint64_t no_name[2];
	uint64_t flags = TIDEPOOL_POOL_VERSION | (kind & 1 ? TIDEPOOL_POOL_PERSISTENT : 0);
	bool huge = kind % 16 >= 14 && store->huge_put;
	bool shared = kind % 8 == 4 && store->shared && !is_shared_open(at.client);
	struct model_pool *pool;
	int64_t ret;

	/* The model's pools are fewer than the store's. */
	for (at.pool = 0; at.pool < MODEL_POOLS && pool_of(at)->open; at.pool++)
		;
	if (at.pool == MODEL_POOLS)
		return;
	flags |= huge ? HUGE_FLAGS : 0;
	flags |= shared ? TIDEPOOL_POOL_SHARED : 0;
	ret = store->pool_create(at.client, flags, shared ? store->shared : no_name);
	if (model.frozen[at.client]) {
		expect(ret == -TIDEPOOL_EFROZEN, "new pool, frozen", ret);
		return;
	}
	expect(ret == at.pool || (ret == -TIDEPOOL_ENOMEM && !shared), "new pool", ret);
	if (ret < 0)
		return;
	pool = pool_of(at);
	pool->open = true;
	pool->persistent = flags & TIDEPOOL_POOL_PERSISTENT;
	pool->huge = huge;
	pool->shared = shared;
}

static void pool_destroy_do(struct model_place at)
{
	struct model_pool *pool = pool_of(at);
	int64_t ret;

	do
		ret = store->pool_destroy(at.client, at.pool);
	while (ret == -TIDEPOOL_EAGAIN);
	expect(ret == (pool->open ? 0 : -TIDEPOOL_ENODEV), "destroy", ret);
	if (!pool->shared)
		model_flush_pool(&model, at);
	*pool = (struct model_pool){.open = false};
}

static void freeze_do(unsigned int client)
{
	if (!store->freeze)
		return;
	model.frozen[client] = !model.frozen[client];
	store->freeze(client, model.frozen[client]);
}

/* Elsewhere it is not frozen, has its persistent pages, and no shared pool open. */
static void move_do(struct model_place at)
{
	if (!store->move || is_shared_open(at.client) || !store->move(at.client))
		return;
	model.frozen[at.client] = false;
	for (at.pool = 0; at.pool < MODEL_POOLS; at.pool++)
		if (!pool_of(at)->persistent)
			model_flush_pool(&model, at);
}

static void idle_do(bool scarce)
{
	if (store->idle)
		store->idle(scarce);
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
		flush_range_do(at, 1 + choice / 4);
	}
}

/* Operations on pages, in a pool that is open. @more: chooses among the rare ones. */
static void page_call(struct model_place at, unsigned int choice, unsigned int more, uint64_t stamp)
{
	struct tmem_key key = key_of(at);

	switch (choice) {
	case 0:
		flush_object_do(at);
		break;
	case 1:
	case 2:
		flush_answer(at, store->flush_page(at.client, at.pool, &key));
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

	model = empty;
	store = with;
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
	else if (!pool_of(at)->open)
		elsewhere_do(at, -TIDEPOOL_ENODEV);
	else if (pool_of(at)->huge && choice == 3)
		flush_object_do(at);
	else if (pool_of(at)->huge && choice == 4 && store->move)
		elsewhere_do(at, -TIDEPOOL_EINVAL);
	else if (pool_of(at)->huge)
		huge_call(at, call[3], stamp);
	else
		page_call(at, choice - 2, call[3] / 4, stamp);
}

uint64_t engine_count(unsigned int client, bool persistent)
{
	uint64_t count = 0;
	unsigned int p, o, i;

	for (p = 0; p < MODEL_POOLS; p++) {
		const struct model_pool *pool = &model.pools[client][p];

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
		if (model.pools[client][p].huge)
			return true;
	return false;
}

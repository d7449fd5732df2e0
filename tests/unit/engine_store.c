/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include <tidepool/abi.h>

#include "tests/unit/engine.h"
#include "tests/unit/engine_store.h"

#define SHARED_CAP 60u /* frames */
#define BUFFER	   (64u << 10)
#define IDLE_STEPS 8u /* at a time */

struct tmem_client *engine_clients[MODEL_CLIENTS];
uint64_t engine_caps[MODEL_CLIENTS];
uint8_t engine_dedup[MODEL_CLIENTS];

static struct tmem_client *shared;
static unsigned int nr_clients;
static char huge[2u << 20] __attribute__((aligned(4096)));
static const uint64_t name[2] = {0x646572616873, 0};

static int64_t pool_create(unsigned int c, uint64_t flags, const uint64_t uuid[2])
{
	return tmem_pool_create(engine_clients[c], flags, uuid);
}

static int64_t pool_destroy(unsigned int c, uint64_t pool)
{
	return tmem_pool_destroy(engine_clients[c], pool);
}

static int64_t put(unsigned int c, uint64_t pool, const struct tmem_key *key, const void *page)
{
	return tmem_put(engine_clients[c], pool, key, page);
}

static int64_t get(unsigned int c, uint64_t pool, const struct tmem_key *key, void *page)
{
	return tmem_get(engine_clients[c], pool, key, page);
}

static int64_t flush_page(unsigned int c, uint64_t pool, const struct tmem_key *key)
{
	return tmem_flush_page(engine_clients[c], pool, key);
}

static int64_t flush_object(unsigned int c, uint64_t pool, const uint64_t oid[3])
{
	return tmem_flush_object(engine_clients[c], pool, oid);
}

static bool is_huge(unsigned int c, uint64_t pool)
{
	return tmem_pool_is_huge(engine_clients[c], pool);
}

static int64_t read(unsigned int c, uint64_t pool, const struct tmem_key *key, unsigned int part,
		    void *page)
{
	const struct tmem_span span = {.length = TMEM_PAGE_SIZE, .part = part};

	return (is_huge(c, pool) ? tmem_huge_read : tmem_read)(engine_clients[c], pool, key, &span,
							       page);
}

static int64_t write(unsigned int c, uint64_t pool, const struct tmem_key *key, unsigned int part,
		     const void *page)
{
	const struct tmem_span span = {.length = TMEM_PAGE_SIZE, .part = part};

	return (is_huge(c, pool) ? tmem_huge_write : tmem_write)(engine_clients[c], pool, key,
								 &span, page);
}

static int64_t exchange(unsigned int c, uint64_t pool, const struct tmem_key *key,
			unsigned int part, void *page)
{
	const struct tmem_span span = {.length = TMEM_PAGE_SIZE, .part = part};

	return (is_huge(c, pool) ? tmem_huge_exchange : tmem_exchange)(engine_clients[c], pool, key,
								       &span, page);
}

static int64_t flush_range(unsigned int c, uint64_t pool, const struct tmem_key *first,
			   uint64_t count)
{
	return (is_huge(c, pool) ? tmem_huge_flush_range : tmem_flush_range)(
		engine_clients[c], pool, first->oid, first->index, count);
}

static int64_t huge_put(unsigned int c, uint64_t pool, const struct tmem_key *key, const void *page,
			uint64_t cookie)
{
	return tmem_huge_put(engine_clients[c], pool, key, page, cookie);
}

static int64_t huge_get(unsigned int c, uint64_t pool, const struct tmem_key *key, void *page,
			uint64_t cookie)
{
	return tmem_huge_get(engine_clients[c], pool, key, page, cookie);
}

static int64_t huge_flush(unsigned int c, uint64_t pool, const struct tmem_key *key)
{
	return tmem_huge_flush(engine_clients[c], pool, key);
}

static void freeze(unsigned int c, bool on)
{
	if (on)
		tmem_client_freeze(engine_clients[c], TMEM_FREEZE_OPERATOR);
	else
		tmem_client_thaw(engine_clients[c], TMEM_FREEZE_OPERATOR);
}

static void client_destroy(struct tmem_client *client)
{
	while (tmem_client_destroy(client) == -TIDEPOOL_EAGAIN)
		;
}

static struct tmem_client *client_make(unsigned int c)
{
	static const uint32_t dedups[] = {
		TMEM_DEDUP_OFF,
		TMEM_DEDUP_ALONE,
		TMEM_DEDUP_GROUP,
		TMEM_DEDUP_GROUP + 1,
	};
	const struct tmem_limits limits = {
		.cap = engine_caps[c],
		/* One of two compresses, and what takes its place when it has moved. */
		.compress = c % 2 == 0,
		.dedup = dedups[engine_dedup[c] % 4],
	};
	struct tmem_client *made = tmem_client_create(&limits);

	/* A client can be granted eight. */
	if (made)
		(void)tmem_shared_grant(made, shared, true);
	return made;
}

/* Hand all of a stream over as it comes. Returns whether it was taken. */
static bool stream_move(struct tmem_save *save, struct tmem_restore *restore)
{
	static char buffer[BUFFER];
	int64_t size;
	int ret;

	while (save->phase != TMEM_SAVE_DONE) {
		uint64_t at = 0;

		size = tmem_save_read(save, buffer, sizeof(buffer));
		while (size > 0 && at < (uint64_t)size) {
			int64_t taken = tmem_restore_write(restore, buffer + at,
							   (uint64_t)size - at);

			if (taken <= 0)
				break;
			at += (uint64_t)taken;
		}
		if (size == 0)
			(void)tmem_save_finish(save);
	}
	do
		ret = tmem_restore_end(restore);
	while (ret == -TIDEPOOL_EAGAIN);
	if (ret && restore->fault != TMEM_RESTORE_MEMORY)
		abort(); /* nothing else can be wrong with it */
	return ret == 0;
}

static bool move(unsigned int c)
{
	static char pages[2][TMEM_PAGE_SIZE] __attribute__((aligned(TMEM_PAGE_SIZE)));
	struct tmem_client *from = engine_clients[c], *to = client_make(c);
	struct tmem_restore restore;
	struct tmem_save save;
	bool moved;

	if (!to)
		return false;
	if (tmem_save_begin(&save, from, pages[0]) || tmem_restore_begin(&restore, to, pages[1]))
		abort();
	moved = stream_move(&save, &restore);
	while (tmem_save_end(&save) == -TIDEPOOL_EAGAIN)
		;
	client_destroy(moved ? from : to);
	engine_clients[c] = moved ? to : from;
	return moved;
}

static void idle(bool scarce)
{
	unsigned int i;

	for (i = 0; i < IDLE_STEPS && tmem_idle_step(scarce); i++)
		;
}

void engine_store_start(unsigned int clients, void (*fail)(const char *what, int64_t value))
{
	static struct engine_store store = {
		.pool_create = pool_create,
		.pool_destroy = pool_destroy,
		.put = put,
		.get = get,
		.flush_page = flush_page,
		.flush_object = flush_object,
		.read = read,
		.write = write,
		.exchange = exchange,
		.flush_range = flush_range,
		.huge_put = huge_put,
		.huge_get = huge_get,
		.huge_flush = huge_flush,
		.huge = huge,
		.freeze = freeze,
		.move = move,
		.idle = idle,
		.shared = name,
	};
	unsigned int c;

	store.fail = fail;
	nr_clients = clients;
	shared = tmem_shared_create(name, false, &(const struct tmem_limits){.cap = SHARED_CAP});
	if (!shared)
		abort();
	for (c = 0; c < clients; c++) {
		engine_clients[c] = client_make(c);
		if (!engine_clients[c])
			abort();
	}
	engine_start(&store, clients);
}

void engine_store_stop(void)
{
	unsigned int c;

	for (c = 0; c < nr_clients; c++)
		client_destroy(engine_clients[c]);
	client_destroy(shared);
}

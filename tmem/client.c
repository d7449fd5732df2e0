/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/client.h"
#include "tmem/pool.h"
#include "tmem/store.h"

/* Others read these two without the lock: tmem/share.c. Context: client lock held. */
static void reserve_set(struct tmem_client *client, uint64_t reserve)
{
	__atomic_store_n(&client->reserve, reserve, __ATOMIC_RELAXED);
}

static void charge_set(struct tmem_client *client, uint64_t charged)
{
	__atomic_store_n(&client->charged, charged, __ATOMIC_RELAXED);
}

void *tmem_client_frame_alloc(struct tmem_client *client, enum tmem_frame_use use)
{
	void *frame;

	if (client->charged >= client->cap)
		return NULL;
	frame = tmem_frame_alloc(use, client->charged < client->reserve);
	if (frame)
		charge_set(client, client->charged + 1);
	return frame;
}

void tmem_client_frame_free(struct tmem_client *client, void *frame)
{
	charge_set(client, client->charged - 1);
	tmem_frame_free(frame, client->charged < client->reserve);
}

void tmem_client_freeze(struct tmem_client *client, enum tmem_freeze reason)
{
	__atomic_fetch_or(&client->frozen, (uint32_t)reason, __ATOMIC_SEQ_CST);
}

void tmem_client_thaw(struct tmem_client *client, enum tmem_freeze reason)
{
	__atomic_fetch_and(&client->frozen, ~(uint32_t)reason, __ATOMIC_SEQ_CST);
}

struct tmem_client *tmem_client_create(const struct tmem_limits *limits)
{
	struct tmem_client *client = tmem_frame_alloc(TMEM_FRAME_METADATA, false);

	if (!client)
		return NULL;
	__builtin_memset(client, 0, sizeof(*client));
	client->cap = limits->cap;
	client->reserve_wanted = limits->reserve;
	client->reserve = limits->reserve > 0; /* this frame is the first of it */
	client->weight = limits->weight ? limits->weight : 1;
	client->charged = 1;
	tmem_queue_init(&client->order);
	tmem_lock_acquire(&tmem_store.lock);
	tmem_list_push(&tmem_store.clients, &client->link);
	tmem_lock_release(&tmem_store.lock);
	return client;
}

int tmem_client_prepare(struct tmem_client *client)
{
	bool done;

	tmem_lock_acquire(&client->lock);
	reserve_set(client,
		    client->reserve + tmem_frame_promise(client->reserve_wanted - client->reserve));
	done = client->reserve == client->reserve_wanted;
	tmem_lock_release(&client->lock);
	if (done)
		return 0;
	return tmem_frame_fetch() ? -TIDEPOOL_EAGAIN : -TIDEPOOL_ENOMEM;
}

/* What is left of the promise ends first, so that memory goes back as pages go. */
static void reserve_forgo(struct tmem_client *client)
{
	tmem_lock_acquire(&client->lock);
	if (client->charged < client->reserve)
		tmem_frame_forgo(client->reserve - client->charged);
	client->reserve_wanted = 0;
	reserve_set(client, 0);
	tmem_lock_release(&client->lock);
}

/* Drop the pools, a bounded step of it. Returns whether none is left. */
static bool pools_release(struct tmem_client *client)
{
	unsigned int id, budget = TMEM_STEP;

	for (id = 0; id < TIDEPOOL_MAX_POOLS; id++) {
		struct tmem_pool *pool = client->pools[id];

		if (!pool)
			continue;
		if (!tmem_pool_release(pool, &budget) || budget == 0)
			return false;
		budget--;
		client->pools[id] = NULL;
		tmem_lock_acquire(&client->lock);
		tmem_client_frame_free(client, pool);
		tmem_lock_release(&client->lock);
	}
	return true;
}

int tmem_client_destroy(struct tmem_client *client)
{
	bool done;

	reserve_forgo(client);
	/* The backlog first: when the client is gone nobody asks again. */
	done = pools_release(client) && !tmem_frame_backlog();
	if (done) {
		tmem_lock_acquire(&tmem_store.lock);
		tmem_list_remove(&client->link);
		tmem_lock_release(&tmem_store.lock);
		/* Whoever found it in the list holds its lock: see tmem_share_victim(). */
		tmem_lock_acquire(&client->lock);
		tmem_lock_release(&client->lock);
		tmem_frame_free(client, false);
	}
	tmem_frame_trim();
	return done ? 0 : -TIDEPOOL_EAGAIN;
}

static uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

uint64_t tmem_client_held(struct tmem_client *client)
{
	return counter_read(&client->counters.held);
}

void tmem_client_stats(struct tmem_client *client, struct tmem_stats *stats)
{
	const struct tmem_counters *counters = &client->counters;

	stats->puts = counter_read(&counters->puts);
	stats->refused = counter_read(&counters->refused);
	stats->gets = counter_read(&counters->gets);
	stats->misses = counter_read(&counters->misses);
	stats->flushed = counter_read(&counters->flushed);
	stats->evicted = counter_read(&counters->evicted);
	stats->held = counter_read(&counters->held);
	tmem_lock_acquire(&client->lock);
	stats->pools = client->open_pools;
	stats->charged = client->charged;
	tmem_lock_release(&client->lock);
}

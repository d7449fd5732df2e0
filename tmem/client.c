/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/client.h"
#include "tmem/log.h"
#include "tmem/order.h"
#include "tmem/pool.h"
#include "tmem/scratch.h"
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

void *tmem_client_frame_lend(struct tmem_client *client, const void *near)
{
	void *frame;

	if (client->charged >= client->cap && client->charged - client->cap >= TMEM_LENT_MAX)
		return NULL;
	frame = client->charged < client->reserve ? tmem_frame_alloc(TMEM_FRAME_PAGE, true)
						  : tmem_frame_at_hand(near);
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

void tmem_client_uncharge(struct tmem_client *client)
{
	charge_set(client, client->charged - 1);
}

struct tmem_client *tmem_client_create(const struct tmem_limits *limits)
{
	struct tmem_client *client = tmem_frame_alloc(TMEM_FRAME_METADATA, false);
	struct tmem_lane *lanes = tmem_frame_alloc(TMEM_FRAME_METADATA, false);

	if (!client || !lanes) {
		if (client)
			tmem_frame_free(client, false);
		if (lanes)
			tmem_frame_free(lanes, false);
		return NULL;
	}
	__builtin_memset(client, 0, sizeof(*client));
	client->lanes = __builtin_memset(lanes, 0, TMEM_PAGE_SIZE);
	client->cap = limits->cap;
	client->compress = limits->compress;
	client->refuse = limits->refuse;
	client->reserve_wanted = limits->reserve;
	/* These frames are the first of it. */
	client->reserve = limits->reserve < TMEM_CLIENT_FRAMES ? limits->reserve
							       : TMEM_CLIENT_FRAMES;
	client->weight = limits->weight ? limits->weight : 1;
	client->charged = TMEM_CLIENT_FRAMES;
	tmem_dedup_init(client, limits);
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

/* A save that was under way has come to nothing. */
static void log_close(struct tmem_client *client)
{
	tmem_lock_acquire(&client->lock);
	__atomic_store_n(&client->log.open, false, __ATOMIC_RELEASE);
	tmem_lock_release(&client->lock);
}

/* Drop the pools, a bounded step of it. Returns whether none is left. */
static bool pools_release(struct tmem_client *client, unsigned int *budget)
{
	unsigned int id;

	for (id = 0; id < TIDEPOOL_MAX_POOLS; id++) {
		struct tmem_pool *pool = client->pools[id];

		if (!pool)
			continue;
		if (!tmem_pool_release(pool, budget) || *budget == 0)
			return false;
		(*budget)--;
		client->pools[id] = NULL;
		tmem_lock_acquire(&client->lock);
		tmem_client_frame_free(client, pool);
		tmem_lock_release(&client->lock);
	}
	return true;
}

int tmem_client_destroy(struct tmem_client *client)
{
	unsigned int budget = TMEM_STEP;
	bool done;

	reserve_forgo(client);
	log_close(client);
	done = tmem_log_drop(client) && pools_release(client, &budget) &&
	       tmem_dedup_release(client, &budget);
	if (done)
		tmem_scratch_drain();
	/* The backlog first: when the client is gone nobody asks again. */
	done = done && !tmem_frame_backlog();
	if (done) {
		tmem_lock_acquire(&tmem_store.lock);
		tmem_list_remove(&client->link);
		tmem_lock_release(&tmem_store.lock);
		/* Whoever found it in the list holds its lock: see tmem_share_victim(). */
		tmem_lock_acquire(&client->lock);
		tmem_lock_release(&client->lock);
		tmem_frame_free(client->lanes, false);
		tmem_frame_free(client, false);
	}
	tmem_frame_trim();
	return done ? 0 : -TIDEPOOL_EAGAIN;
}

bool tmem_client_has_ephemeral(const struct tmem_client *client)
{
	unsigned int i;

	for (i = 0; i < TMEM_LANES; i++)
		if (tmem_order_count(&client->lanes[i]))
			return true;
	return false;
}

/* What a client's lanes have counted, and what it has itself. */
static uint64_t events_of(const struct tmem_client *client, enum tmem_event event)
{
	uint64_t sum = __atomic_load_n(&client->events[event], __ATOMIC_RELAXED);
	unsigned int i;

	for (i = 0; i < TMEM_LANES; i++)
		sum += __atomic_load_n(&client->lanes[i].events[event], __ATOMIC_RELAXED);
	return sum;
}

uint64_t tmem_client_held(const struct tmem_client *client)
{
	return events_of(client, TMEM_HELD);
}

void tmem_client_stats(struct tmem_client *client, struct tmem_stats *stats)
{
	stats->puts = events_of(client, TMEM_PUTS);
	stats->refused = events_of(client, TMEM_REFUSED);
	stats->gets = events_of(client, TMEM_GETS);
	stats->misses = events_of(client, TMEM_MISSES);
	stats->flushed = events_of(client, TMEM_FLUSHED);
	stats->evicted = events_of(client, TMEM_EVICTED);
	stats->held = events_of(client, TMEM_HELD);
	tmem_lock_acquire(&client->lock);
	stats->shared = tmem_dedup_shared(client);
	stats->pools = client->open_pools;
	stats->charged = client->charged;
	tmem_lock_release(&client->lock);
}

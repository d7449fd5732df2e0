/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client: its pools, its limit and charge, and the order in which it loses ephemeral pages.
 *
 * Everything that a client makes the store allocate is whole frames charged to it: the client
 * itself, its pools, their index, its records of pages and objects (tmem/cell.h) and the pages.
 */
#ifndef TMEM_CLIENT_H
#define TMEM_CLIENT_H

#include <stdbool.h>

#include <tidepool/abi.h>

#include "tmem/frame.h"
#include "tmem/grain.h"
#include "tmem/list.h"
#include "tmem/lock.h"
#include "tmem/tmem.h"

struct tmem_pool;

#define TMEM_MAX_GRANTS 8u /* shared pools that a client may use */

/* A client's right to a pool of another: tmem/shared.h. */
struct tmem_grant {
	struct tmem_pool *pool; /* constant */
	bool write;		/* constant */
	uint32_t id;		/* while it is open, else TMEM_GRANT_CLOSED; client lock, read
				   without */
};

/* Pages that a stepwise call drops, or frames that it frees, before it asks to be repeated. */
#define TMEM_STEP 64u

/* Events, counted without a lock: see tmem_client_count(). */
struct tmem_counters {
	uint64_t puts;
	uint64_t refused;
	uint64_t gets;
	uint64_t misses;
	uint64_t flushed;
	uint64_t evicted;
	uint64_t held;
};

/* One frame. */
struct tmem_client {
	/*
	 * Protects all fields but the counters and link, and the cells' frames; of the records,
	 * struct tmem_page.order. Taken with a shard's lock held or none.
	 */
	struct tmem_lock lock;
	uint64_t cap;		 /* frames; constant */
	uint64_t reserve;	 /* frames set aside, those charged included; as charged */
	uint64_t reserve_wanted; /* what tmem_client_prepare() brings reserve to */
	uint64_t weight;	 /* constant */
	uint64_t charged;	 /* frames; also read without the lock */
	uint64_t open_pools;
	struct tmem_list cells; /* frames of cells, some of them free: tmem/cell.c */
	struct tmem_queue
		order; /* struct tmem_page.order: ephemeral pages, least recent put first */
	struct tmem_grains grains; /* compressed pages' data */
	struct tmem_link link;	   /* in tmem_store.clients */
	struct tmem_counters counters;
	uint32_t frozen;      /* enum tmem_freeze, for each reason a bit; atomic */
	uint32_t generation;  /* of pages of order 9: tmem/huge.c; atomic */
	uint32_t grant_count; /* constant once the client is used */
	struct tmem_grant grants[TMEM_MAX_GRANTS];
	/* A pool's frame stays once it was made, for the next pool of that id: tmem/pool.c. */
	struct tmem_pool *pools[TIDEPOOL_MAX_POOLS];
};

_Static_assert(sizeof(struct tmem_client) <= TMEM_PAGE_SIZE, "a client fits a frame");

/*
 * tmem_client_frame_alloc - take a frame and charge it
 *
 * Returns the frame, of any content, or NULL: at the cap, or the host has none.
 * Context: client lock held.
 */
void *tmem_client_frame_alloc(struct tmem_client *client, enum tmem_frame_use use);

/* Give such a frame back. Context: client lock held. */
void tmem_client_frame_free(struct tmem_client *client, void *frame);

/*
 * Whether the client's pages may only become fewer. Asked with the shard locked, so that whoever
 * locks it after having frozen the client sees all pages that there will be.
 */
static inline bool tmem_client_frozen(const struct tmem_client *who)
{
	return __atomic_load_n(&who->frozen, __ATOMIC_ACQUIRE);
}

/* Pages held now. Context: any. */
uint64_t tmem_client_held(struct tmem_client *client);

/* Add to one of client->counters. Context: any. */
static inline void tmem_client_count(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

#endif

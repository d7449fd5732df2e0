/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client: its pools, its limit and charge, its lanes.
 *
 * Everything that a client makes the store allocate is whole frames charged to it: the client
 * itself, its pools, their index, its records of pages and objects (tmem/cell.h) and the pages.
 */
#ifndef TMEM_CLIENT_H
#define TMEM_CLIENT_H

#include <stdbool.h>

#include <tidepool/abi.h>

#include "tmem/dedup.h"
#include "tmem/frame.h"
#include "tmem/grain.h"
#include "tmem/list.h"
#include "tmem/lock.h"
#include "tmem/tmem.h"

struct tmem_gone;
struct tmem_page;
struct tmem_pool;

#define TMEM_MAX_GRANTS 8u /* shared pools that a client may use */

/* A client's right to a pool of another: tmem/shared.h. */
struct tmem_grant {
	struct tmem_pool *pool; /* constant */
	bool write;		/* constant */
	uint32_t id;		/* while it is open, else TMEM_GRANT_CLOSED; client lock, read
				   without */
};

/*
 * A client's pages are dealt out to lanes, by their keys' hashes and whatever the pool. All that
 * belongs to a lane is under one lock: of each pool a part of the index (struct tmem_shard), the
 * pages and their contents, and the order in which they are evicted. So an operation on a page
 * takes one lock, and CPUs of one guest seldom meet.
 */
#define TMEM_LANE_BITS 5u
#define TMEM_LANES     (1u << TMEM_LANE_BITS)

/* What is noted while the client is being saved: tmem/log.h. */
struct tmem_log {
	bool open;		  /* pages that go leave an entry; atomic */
	struct tmem_gone *gone;	  /* entries; pushed without a lock, taken under the client's */
	struct tmem_page *cursor; /* the next page to be saved of its shard; that shard's lock */
};

/* Pages that a stepwise call drops, or frames that it frees, before it asks to be repeated. */
#define TMEM_STEP 64u

/* What is counted. */
enum tmem_event {
	TMEM_PUTS,
	TMEM_REFUSED,
	TMEM_GETS,
	TMEM_MISSES,
	TMEM_FLUSHED,
	TMEM_EVICTED,
	TMEM_HELD, /* pages; goes down, too */
	TMEM_EVENTS,
};

/* Pages in the order they came in: cells, linked by struct tmem_page.older and newer. */
struct tmem_order {
	uint32_t oldest, newest; /* 0: none */
	uint32_t count;		 /* also read without the lock, as a hint */
};

/* Cells that eviction freed for the operation it was for. */
#define TMEM_SPARES 3u

/* Two cache lines. */
struct tmem_lane {
	/*
	 * Protects the lane: see above. Each operation on a key is one critical section, which is
	 * what makes it atomic towards all others. Taken first.
	 */
	struct tmem_lock lock;
	struct tmem_order probation, main; /* tmem/order.h */
	uint32_t spares[TMEM_SPARES];	   /* charged; given back when the lane is unlocked */
	uint32_t nr_spares;
	uint32_t rival;	    /* the largest lane when that was looked for last */
	uint32_t evictions; /* made for this lane */
	/* A hint: the hash of a page, the next to be evicted, and its cell. */
	uint32_t ahead;
	uint64_t ahead_hash;
	uint64_t events[TMEM_EVENTS];
} __attribute__((aligned(128)));

_Static_assert(TMEM_LANES * sizeof(struct tmem_lane) == TMEM_PAGE_SIZE, "the lanes fill a frame");

/* What a lane of a client that compresses has beside: tmem/compress.h. */
struct tmem_cold {
	struct tmem_order kept; /* persistent pages */
	/* The oldest pages, of those kept, on probation, and in main, that were not tried yet; also
	 * read without the lock, as a hint. */
	uint32_t waiting[3];
};

#define TMEM_CLIENT_FRAMES 2u /* itself and its lanes */

/* One frame, and one of lanes. */
struct tmem_client {
	/*
	 * Protects all fields but link, and the cells' frames. Taken with a lane's lock held or
	 * none.
	 */
	struct tmem_lock lock;
	struct tmem_lane *lanes; /* constant */
	uint64_t cap;		 /* frames; constant */
	uint64_t reserve;	 /* frames set aside, those charged included; as charged */
	uint64_t reserve_wanted; /* what tmem_client_prepare() brings reserve to */
	uint64_t weight;	 /* constant */
	uint64_t charged;	 /* frames; also read without the lock */
	uint64_t open_pools;
	uint32_t hand;		/* the lane that others evict from next; under the lock */
	struct tmem_list cells; /* frames of cells, some of them free: tmem/cell.c */
	struct tmem_dedup dedup;
	struct tmem_link link;		   /* in tmem_store.clients */
	struct tmem_grains grains;	   /* the data of compressed pages */
	struct tmem_cold cold[TMEM_LANES]; /* of each lane, under its lock; if @compress */
	bool compress;			   /* constant */
	uint16_t refuse;		   /* constant */
	uint32_t refuse_turn;		   /* puts counted for that; atomic */
	uint32_t frozen;		   /* enum tmem_freeze, for each reason a bit; atomic */
	uint32_t generation;		   /* of pages of order 9: tmem/huge.c; atomic */
	uint64_t events[TMEM_EVENTS];	   /* those of no lane of its own; atomic */
	struct tmem_log log;
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

/* Frames that a client may have above its cap, since pages of its were moved. */
#define TMEM_LENT_MAX (2 * TMEM_FRAMES_PER_BLOCK)

/*
 * tmem_client_frame_lend - take a frame for data of a page that is moved to it, and charge it
 * @near: where the data is now: of the node of that frame, if it can be
 *
 * Of what is free at hand, and at the cap as well: what the data is in goes when all that has to
 * leave it has been moved, or, where others share it, with the last of them. A client that is above
 * its cap is lent no more than TMEM_LENT_MAX frames, and gets none for other purposes.
 *
 * Returns the frame, of any content, or NULL. Context: client lock held.
 */
void *tmem_client_frame_lend(struct tmem_client *client, const void *near);

/* Give such a frame back. Context: client lock held. */
void tmem_client_frame_free(struct tmem_client *client, void *frame);

/*
 * End the charge for a frame that others hold and that goes with the last of them: tmem/dedup.h.
 * Context: client lock held; the client has no reserve.
 */
void tmem_client_uncharge(struct tmem_client *client);

/* Pages held now. Context: any. */
uint64_t tmem_client_held(const struct tmem_client *client);

/* Whether a client has ephemeral pages. Context: any; a hint without the locks of its lanes. */
bool tmem_client_has_ephemeral(const struct tmem_client *client);

/*
 * Whether the client's pages may only become fewer. Asked with the lane locked, so that whoever
 * locks it after having frozen the client sees all pages that there will be.
 */
static inline bool tmem_client_frozen(const struct tmem_client *who)
{
	return __atomic_load_n(&who->frozen, __ATOMIC_ACQUIRE);
}

/* Count for a lane; others read it at any time. Context: lane lock held. */
static inline void tmem_lane_count(struct tmem_lane *lane, enum tmem_event event, uint64_t n)
{
	__atomic_store_n(&lane->events[event], lane->events[event] + n, __ATOMIC_RELAXED);
}

/* Count a call that belongs to no one lane of the client. Context: any. */
static inline void tmem_client_count(struct tmem_client *who, enum tmem_event event, uint64_t n)
{
	__atomic_fetch_add(&who->events[event], n, __ATOMIC_RELAXED);
}

#endif

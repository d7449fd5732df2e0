/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pool and its shards. Each key of a pool belongs to one of 32 shards, by its hash: the part of
 * the pool that is in a lane of its client (tmem/client.h), and under that lane's lock.
 *
 * Up to 64 neighbouring pages of an object are in one shard; a larger object's lie in many, and in
 * each of them has the object a record. So an operation on a page needs one lock, one on an object
 * visits all shards in turn.
 */
#ifndef TMEM_POOL_H
#define TMEM_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "tmem/client.h"
#include "tmem/tmem.h"

struct tmem_directory;
struct tmem_pool;

#define TMEM_SHARDS TMEM_LANES

/* One cache line. Protected by its lane's lock. */
struct tmem_shard {
	struct tmem_pool *pool; /* constant */
	struct tmem_lane *lane; /* constant; of the pool's client */
	uint32_t home;		/* constant; for the records: see struct tmem_page */
	uint32_t objects;	/* the first one's cell, 0: none */
	uint32_t recent;	/* the object that was put to last, or 0 */
	bool open;		/* the pool exists; checked after the lock is taken */
	uint64_t entries;	/* pages and objects in this shard */
	uint64_t buckets;	/* of the index: tmem/index.h */
} __attribute__((aligned(64)));

enum tmem_pool_state {
	TMEM_POOL_FREE,	   /* no such pool; its frame waits for the next one */
	TMEM_POOL_CREATED, /* its number is taken */
	TMEM_POOL_OPEN,
	TMEM_POOL_DYING, /* destroyed, not yet empty */
};

/* Directories of the index. Each names 512 frames of 64 buckets: 2^22 buckets in all. */
#define TMEM_DIRECTORIES 128u

/* One frame. */
struct tmem_pool {
	struct tmem_shard shards[TMEM_SHARDS];
	struct tmem_client *client; /* constant */
	uint64_t id;		    /* constant */
	/* Written while all shards are closed, read with one locked and open. */
	bool persistent;
	bool huge;	  /* of order 9; atomic, also read without: tmem_pool_is_huge() */
	bool shared;	  /* of several clients: tmem/shared.h */
	uint64_t flags;	  /* as NEW_POOL gave them */
	uint64_t uuid[2]; /* as NEW_POOL gave it; the name of a shared pool */
	/* Protected by the client's lock. */
	enum tmem_pool_state state;
	bool busy; /* some CPU is creating it, or in a step of destroying it */
	/* The index's memory. Grown with the client's lock held; what there is, is read without. */
	uint32_t leaves; /* frames of buckets */
	struct tmem_directory *directories[TMEM_DIRECTORIES];
};

_Static_assert(sizeof(struct tmem_shard) == 64, "a shard is a cache line");
_Static_assert(sizeof(struct tmem_pool) <= TMEM_PAGE_SIZE, "a pool fits a frame");

/*
 * tmem_pool_find - a client's own pool by the number that a guest gave
 *
 * Returns NULL when there never was one. The pool may be closed, and may become so at any time:
 * shard->open tells, once the shard is locked.
 */
struct tmem_pool *tmem_pool_find(struct tmem_client *client, uint64_t id);

/* What a call is going to do with a pool's pages. */
enum tmem_access {
	TMEM_LOOK = 0,	 /* get and read: members of a shared pool may */
	TMEM_CHANGE = 1, /* put, write, exchange, flush: not those that may only read */
	/* Flags: in pools of which order; without either, in those of order 0. */
	TMEM_HUGE = 2,	    /* in those of order 9 */
	TMEM_ANY_ORDER = 4, /* in both */
	/* Flags of puts. */
	TMEM_THAWED = 8,    /* though the client is frozen */
	TMEM_NEW_ONLY = 16, /* -TIDEPOOL_EINVAL where the key holds a page */
};

/*
 * tmem_pool_access - find the pool behind a number, the client's own or a shared one
 *
 * Returns 0 with @pool set, as from tmem_pool_find(), -TIDEPOOL_ENODEV or -TIDEPOOL_EPERM.
 */
int64_t tmem_pool_access(struct tmem_client *client, uint64_t id, unsigned int access,
			 struct tmem_pool **pool);

/*
 * tmem_shard_lock - find a pool by its number and lock the lane of a hash in it
 * @access: enum tmem_access
 * @error: set where nothing is locked: -TIDEPOOL_ENODEV, -TIDEPOOL_EPERM, or -TIDEPOOL_EINVAL for a
 *	   pool of the other order; else 0
 *
 * Returns the shard, to be unlocked by the caller, or NULL. Context: no lane's lock held.
 */
struct tmem_shard *tmem_shard_lock(struct tmem_client *client, uint64_t id, uint64_t hash,
				   unsigned int access, int64_t *error);

/* The same for shard @n of the pool. */
struct tmem_shard *tmem_shard_lock_nth(struct tmem_client *client, uint64_t id, unsigned int n,
				       unsigned int access, int64_t *error);

void tmem_shard_unlock(struct tmem_shard *shard);

/*
 * tmem_shard_expect - bring near what a put of a key will look at and write to
 *
 * Returns 0, or the error as tmem_shard_lock(); either may change at any time.
 */
int64_t tmem_shard_expect(struct tmem_client *client, uint64_t id, uint64_t hash,
			  unsigned int access);

/*
 * tmem_call_count - count a call for the client that made it
 * @shard: that it was about, with its lane locked; of a shared pool it is another client's
 */
static inline void tmem_call_count(struct tmem_client *who, struct tmem_shard *shard,
				   enum tmem_event event, uint64_t n)
{
	if (shard->pool->client == who)
		tmem_lane_count(shard->lane, event, n);
	else
		tmem_client_count(who, event, n);
}

/* Whether a get leaves the page where it is. Context: a shard of the pool locked, and open. */
static inline bool tmem_pool_keeps(const struct tmem_pool *pool)
{
	return pool->persistent || pool->shared;
}

/* tmem_pool_create_at - tmem_pool_create() with a number that is given, for a frozen client too */
int64_t tmem_pool_create_at(struct tmem_client *client, uint64_t id, uint64_t flags,
			    const uint64_t uuid[2]);

/* The lowest pool number that is free, or -TIDEPOOL_ENOMEM. Context: client lock held. */
int64_t tmem_pool_free_id(struct tmem_client *client);

/*
 * tmem_pool_release - close a pool and drop what it holds, as far as the budget goes
 * @budget: pages and frames that may still be dropped; counted down, to 0 when a block became
 *	    free, which costs the host as much as a whole step
 *
 * Returns whether the pool is free, which a free one is at once.
 * Context: no lock held; no other CPU is in here for this pool.
 */
bool tmem_pool_release(struct tmem_pool *pool, unsigned int *budget);

#endif

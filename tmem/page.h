/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The records of pages and objects, and how they hang together: all links are cells' numbers.
 *
 *   shard -> objects -> their pages          what flush_object and destroy walk
 *   index (tmem/index.h) -> pages, objects   what put, get and flush look up
 *   lane -> order (tmem/order.h) -> pages    what eviction takes from
 *
 * A page's record is one cell, and all that it takes to tell whether it is the page asked for, and
 * to copy it, is in this one cache line.
 */
#ifndef TMEM_PAGE_H
#define TMEM_PAGE_H

#include "tmem/cell.h"
#include "tmem/client.h"
#include "tmem/pool.h"
#include "tmem/tmem.h"

struct tmem_staged;

/* An object's pages in one shard; exists while there are any. */
struct tmem_object {
	uint64_t oid[3]; /* constant */
	uint32_t pages;	 /* the first of them */
	uint32_t unused[5];
	uint32_t next, prev; /* in shard->objects */
	uint32_t object;     /* 0: this is no page */
	uint32_t home;	     /* as a page's */
};

struct tmem_page {
	uint64_t oid[3];       /* constant */
	uint64_t index;	       /* constant */
	uint64_t content;      /* tmem/content.h */
	uint32_t newer, older; /* in the lane's order, if ephemeral */
	uint32_t next, prev;   /* in object->pages */
	uint32_t object;       /* constant */
	uint32_t home;	       /* the pool's number, plus these: */
};

#define TMEM_HOME_SHARD (TMEM_SHARDS - 1)
#define TMEM_HOME_MAIN	TMEM_SHARDS /* the page is in lane->main */
#define TMEM_HOME_POOL	(~(TMEM_CELLS_PER_FRAME - 1))

_Static_assert(sizeof(struct tmem_object) == TMEM_CELL_SIZE, "an object's record is a cell");
_Static_assert(sizeof(struct tmem_page) == TMEM_CELL_SIZE, "a page's record is a cell");
_Static_assert(offsetof(struct tmem_object, object) == offsetof(struct tmem_page, object),
	       "the index tells them apart by it");
_Static_assert(2 * TMEM_SHARDS <= TMEM_CELLS_PER_FRAME, "a frame's number has room for these");

/* The shard of a page or object, which tells its pool and that its client. Context: lane locked. */
static inline struct tmem_shard *tmem_home_shard(uint32_t home)
{
	struct tmem_pool *pool = tmem_cell_at(home & TMEM_HOME_POOL);

	return &pool->shards[home & TMEM_HOME_SHARD];
}

static inline struct tmem_shard *tmem_page_shard(const struct tmem_page *page)
{
	return tmem_home_shard(page->home);
}

/*
 * What is left of a page that was taken out of everything: cells and a frame, charged to the
 * client still.
 */
struct tmem_remains {
	void *frame;	   /* NULL: it had none to itself */
	uint64_t blob;	   /* in tmem/grain.h, to be removed before its cell is freed; 0: none */
	bool held;	   /* others hold its frame: the charge remains, without a frame */
	uint32_t cells[4]; /* the index's, its object's if that went too, and the page's unless it
			    * was logged
			    */
	unsigned int nr_cells;
};

/*
 * tmem_page_unlink - take a page out of everything
 * @hash:    of its key
 * @returns: it may come back: the index remembers it
 *
 * Context: lane lock held.
 */
void tmem_page_unlink(struct tmem_page *page, uint32_t number, uint64_t hash, bool returns,
		      struct tmem_remains *remains);

/*
 * tmem_page_create - make a page for a key that has none, at the newest end of the order
 * @hash:   of @key, by tmem_index_hash_key(); @shard is its shard
 * @staged: its data
 *
 * Returns the page or NULL: refused. Either way ephemeral pages may have been evicted.
 * Context: lane lock held.
 */
struct tmem_page *tmem_page_create(struct tmem_shard *shard, uint64_t hash,
				   const struct tmem_key *key, struct tmem_staged *staged);

/* Take a page out of the order, so that it is not evicted; a persistent one is in none. */
void tmem_page_hold(struct tmem_page *page);

/* Put it back, as one that came again. */
void tmem_page_unhold(struct tmem_page *page);

/* Make an ephemeral page the most recent one. These three: context: lane lock held. */
void tmem_page_renew(struct tmem_page *page);

/* Drop a page, and its object when it was the last. Context: lane lock held. */
void tmem_page_drop(struct tmem_page *page);

/*
 * tmem_page_got - do what a get does to a page of @pool: drop it, renew it, or leave it
 * @hash: of its key
 *
 * Context: lane lock held.
 */
void tmem_page_got(struct tmem_page *page, const struct tmem_pool *pool, uint64_t hash);

/* Bring near what tmem_page_got() will write to. Context: lane lock held. */
void tmem_page_expect(const struct tmem_page *page, const struct tmem_pool *pool);

/*
 * tmem_object_drop - drop an object's pages in one shard, as far as the budget goes
 * @budget: as tmem_pool_release()'s
 *
 * Returns whether none is left; then the object is gone. Context: lane lock held.
 */
bool tmem_object_drop(struct tmem_object *object, unsigned int *budget);

#endif

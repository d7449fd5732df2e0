/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The records of pages and objects, how they hang together, and eviction.
 *
 *   shard -> objects -> their pages          what flush_object and destroy walk
 *   index (tmem/index.h) -> pages, objects   what put, get and flush look up
 *   client -> order -> ephemeral pages       what eviction takes from
 */
#ifndef TMEM_PAGE_H
#define TMEM_PAGE_H

#include "tmem/cell.h"
#include "tmem/client.h"
#include "tmem/list.h"
#include "tmem/pool.h"
#include "tmem/tmem.h"

/* An object's pages in one shard; exists while there are any. One cell. */
struct tmem_object {
	struct tmem_object *chain; /* next in its bucket */
	struct tmem_shard *shard;  /* constant */
	struct tmem_list pages;	   /* struct tmem_page.siblings */
	struct tmem_link siblings; /* in shard->objects */
	uint64_t oid[3];	   /* constant */
};

/* A page. One cell. */
struct tmem_page {
	struct tmem_page *chain;    /* next in its bucket */
	struct tmem_object *object; /* constant */
	struct tmem_link siblings;  /* in object->pages */
	struct tmem_link order;	    /* in client->order, if ephemeral; client lock */
	uint64_t content;	    /* tmem/content.h */
	uint64_t index;		    /* constant */
};

_Static_assert(sizeof(struct tmem_object) <= TMEM_CELL_SIZE, "an object's record fits a cell");
_Static_assert(sizeof(struct tmem_page) <= TMEM_CELL_SIZE, "a page's record fits a cell");

/* A page's shard, which tells its pool and that its client. Context: shard lock held. */
static inline struct tmem_shard *tmem_page_shard(const struct tmem_page *page)
{
	return page->object->shard;
}

/*
 * tmem_frame_reserve - take a charged frame, at the price of an ephemeral page if need be
 * @use:  what for; the frame of an evicted page serves any
 * @held: the shard whose lock the caller holds, or NULL
 *
 * Returns the frame, of any content, or NULL when the client has nothing to evict either.
 * Records in @held may be gone afterwards, with their objects.
 * Context: client lock held.
 */
void *tmem_frame_reserve(struct tmem_client *client, enum tmem_frame_use use,
			 struct tmem_shard *held);

/*
 * tmem_page_create - make a page for a key that has none, at the most recent end of the order
 * @hash: of @key, by tmem_index_hash_key(); @shard is its shard
 * @src:  its data, as tmem_content_write()'s
 *
 * Returns the page or NULL: refused. Either way ephemeral pages may have been evicted.
 * Context: shard lock held, the client's not.
 */
struct tmem_page *tmem_page_create(struct tmem_shard *shard, uint64_t hash,
				   const struct tmem_key *key, const void *src);

/* Make an ephemeral page the most recent one. Context: its shard's lock held. */
void tmem_page_renew(struct tmem_page *page);

/*
 * tmem_page_got - do what a get does to a page of @pool: drop it, renew it, or leave it
 * Context: its shard's lock held.
 */
void tmem_page_got(struct tmem_page *page, const struct tmem_pool *pool);

/* Drop a page, and its object when it was the last. Context: its shard's lock held. */
void tmem_page_drop(struct tmem_page *page);

/*
 * tmem_object_drop - drop an object's pages in one shard, as far as the budget goes
 * @budget: as tmem_pool_release()'s
 *
 * Returns whether none is left; then the object is gone. Context: its shard's lock held.
 */
bool tmem_object_drop(struct tmem_object *object, unsigned int *budget);

#endif

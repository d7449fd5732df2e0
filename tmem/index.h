/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The index: from a key straight to a page's record, by linear hashing.
 *
 * Each shard has a table of its own that grows one bucket at a time: to add bucket n, the bucket
 * whose pages it shares is split. So a table follows its pages at about one a bucket, and no put
 * ever pays for a rehash. Bucket n of shard s is number n * 16 + s in the pool's array of
 * buckets, whose frames the shards share and which the pool's directories name. The array does
 * not shrink before the pool is destroyed: it costs 0.4 % of the most the pool ever held.
 */
#ifndef TMEM_INDEX_H
#define TMEM_INDEX_H

#include "tmem/page.h"
#include "tmem/pool.h"

/* What a new pool's index takes: a directory and the first frame of buckets. */
#define TMEM_INDEX_FRAMES 2u

/* The hash of a key. Its low TMEM_SHARD_BITS are the shard. */
uint64_t tmem_index_hash_key(const struct tmem_key *key);

/* The hash of an object id. Its low TMEM_SHARD_BITS mean nothing. */
uint64_t tmem_index_hash_oid(const uint64_t oid[3]);

/*
 * tmem_index_init - set up the index of a new pool
 * @frames: TMEM_INDEX_FRAMES charged frames, of any content; the pool's from now on
 *
 * Context: the pool's shards are closed.
 */
void tmem_index_init(struct tmem_pool *pool, void *const frames[TMEM_INDEX_FRAMES]);

/*
 * tmem_index_release - give the frames of an empty index back, as far as the budget goes
 *
 * Returns whether all are given back. Context: client lock held; the pool's shards are closed.
 */
bool tmem_index_release(struct tmem_pool *pool, unsigned int *budget);

/*
 * tmem_index_grow - add buckets where the shard's pages have outnumbered them
 *
 * Two at most, and none without free memory: then chains get longer. Nothing is evicted for it.
 * Context: shard lock held.
 */
void tmem_index_grow(struct tmem_shard *shard);

/* Find, add and remove. @hash: of the page's key or of the object's id. Context: shard lock held.
 */
struct tmem_page *tmem_index_find_page(struct tmem_shard *shard, uint64_t hash,
				       const struct tmem_key *key);
struct tmem_object *tmem_index_find_object(struct tmem_shard *shard, uint64_t hash,
					   const uint64_t oid[3]);
void tmem_index_add_page(struct tmem_shard *shard, uint64_t hash, struct tmem_page *page);
void tmem_index_add_object(struct tmem_shard *shard, uint64_t hash, struct tmem_object *object);
void tmem_index_remove_page(struct tmem_shard *shard, uint64_t hash, struct tmem_page *page);
void tmem_index_remove_object(struct tmem_shard *shard, uint64_t hash, struct tmem_object *object);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The index: from a key to a page's record, by way of one cache line.
 *
 * A bucket is a line of ten slots, each a cell's number and 16 bits of the hash that tell most
 * others from it, so that a page that is not there is known not to be from this line alone, and one
 * that is, from this and its record. A full bucket goes on in further lines, which are cells.
 *
 * It grows by linear hashing: each shard has a table of its own, to which one bucket at a time is
 * added, and the bucket is split whose pages it shares. So a table follows its pages at seven to
 * nine a bucket and no put pays for a rehash. The slots' 16 bits begin at the hash's bits that the
 * next splits are decided by: only each eighth doubling has to look at records for more bits.
 *
 * Bucket n of shard s is number n * 32 + s in the pool's array of buckets, whose frames the shards
 * share and which the pool's directories name. The array does not shrink before the pool is
 * destroyed: it costs 0.2 % of the most the pool ever held.
 *
 * A page that may come back leaves its bits behind in its slot until the slot is needed. They tell
 * whether a new page is one that was here before: see tmem/order.h.
 *
 * Context of all that takes a shard: its lane's lock held.
 */
#ifndef TMEM_INDEX_H
#define TMEM_INDEX_H

#include "tmem/page.h"
#include "tmem/pool.h"

/* What a new pool's index takes: a directory and the first frame of buckets. */
#define TMEM_INDEX_FRAMES 2u

/* The shard of a key's hash. */
static inline unsigned int tmem_index_shard(uint64_t hash)
{
	return (unsigned int)(hash >> (64 - TMEM_LANE_BITS));
}

/*
 * The hash of a key. Its highest bits are the shard, which keys of an object share whose indices do
 * not differ but in the lowest six bits: so a small object has one record, not one in each shard.
 */
uint64_t tmem_index_hash_key(const struct tmem_key *key);
uint64_t tmem_index_hash_page(const struct tmem_page *page);

/* The hash of an object id. It tells no shard: an object's pages are in any. */
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
 * Two at most, and none without free memory: then buckets get longer. Nothing is evicted for it
 * before they are four times as long as they should be: see tmem_index_add().
 */
void tmem_index_grow(struct tmem_shard *shard);

/* Bring the bucket of a hash near. */
void tmem_index_expect(const struct tmem_shard *shard, uint64_t hash);

/*
 * tmem_index_nth - walk a bucket
 * @bucket: below shard->buckets
 *
 * Returns record @n of it, a page's cell or an object's, or 0 behind the last.
 */
uint32_t tmem_index_nth(const struct tmem_shard *shard, uint64_t bucket, unsigned int n);

/* Find a page, or NULL; or an object's number, or 0. @hash: of the key or the object's id. */
struct tmem_page *tmem_index_find_page(const struct tmem_shard *shard, uint64_t hash,
				       const struct tmem_key *key);
uint32_t tmem_index_find_object(const struct tmem_shard *shard, uint64_t hash,
				const uint64_t oid[3]);

/*
 * tmem_index_add - name a record that is not named yet
 * @was_here: set if a page of that hash left it by tmem_index_remove(); NULL: of no interest
 *
 * Returns whether there was memory: for a further line where the bucket is full, and for a further
 * bucket where all are long. Either way ephemeral pages may have been evicted for it.
 */
bool tmem_index_add(struct tmem_shard *shard, uint64_t hash, uint32_t number, bool *was_here);

/*
 * tmem_index_remove - forget a record
 * @returns: it may come back
 *
 * Returns a cell that the index does not need any more, to be freed, or 0.
 */
uint32_t tmem_index_remove(struct tmem_shard *shard, uint64_t hash, uint32_t number, bool returns);

#endif

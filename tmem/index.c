/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/client.h"
#include "tmem/frame.h"
#include "tmem/hash.h"
#include "tmem/index.h"
#include "tmem/store.h"

/* Pages and objects of like hash; both chains singly linked, in no order. */
struct bucket {
	struct tmem_page *pages;
	struct tmem_object *objects;
};

#define BUCKETS (TMEM_PAGE_SIZE / sizeof(struct bucket)) /* in a frame */
#define SLOTS	(TMEM_PAGE_SIZE / sizeof(void *))	 /* in a directory */

/* A frame of buckets. */
struct leaf {
	struct bucket buckets[BUCKETS];
};

struct tmem_directory {
	struct leaf *leaves[SLOTS];
};

/* A shard starts with as many buckets as it has in the first frame. */
#define FIRST_BUCKETS (BUCKETS / TMEM_SHARDS)
#define MAX_BUCKETS   (TMEM_DIRECTORIES * SLOTS * BUCKETS / TMEM_SHARDS)
#define GROW_STEP     2 /* buckets a put: one for its page, one to catch up after want of memory */

_Static_assert((FIRST_BUCKETS & (FIRST_BUCKETS - 1)) == 0,
	       "the first split doubles a power of two");

uint64_t tmem_index_hash_key(const struct tmem_key *key)
{
	const uint64_t words[4] = {key->oid[0], key->oid[1], key->oid[2], key->index};

	return tmem_hash_words(tmem_store.host.hash_seed, words, 4);
}

uint64_t tmem_index_hash_oid(const uint64_t oid[3])
{
	return tmem_hash_words(tmem_store.host.hash_seed, oid, 3);
}

static bool oid_equal(const uint64_t a[3], const uint64_t b[3])
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

static uint64_t page_hash(const struct tmem_page *page)
{
	const uint64_t *oid = page->object->oid;
	const struct tmem_key key = {.oid = {oid[0], oid[1], oid[2]}, .index = page->index};

	return tmem_index_hash_key(&key);
}

/* Where bucket @n of a shard lies among the pool's. */
static uint64_t bucket_number(const struct tmem_shard *shard, uint64_t n)
{
	return n * TMEM_SHARDS + (uint64_t)(shard - shard->pool->shards);
}

/* Bucket @n of a shard, which exists. */
static struct bucket *bucket_at(const struct tmem_shard *shard, uint64_t n)
{
	uint64_t number = bucket_number(shard, n);
	const struct tmem_directory *directory = shard->pool->directories[number / BUCKETS / SLOTS];

	return &directory->leaves[number / BUCKETS % SLOTS]->buckets[number % BUCKETS];
}

/*
 * The bucket of a hash. With 2^k <= buckets < 2^(k+1), the hash modulo 2^(k+1) names the bucket
 * if it exists, and modulo 2^k the one that has not been split for it yet.
 */
static struct bucket *bucket_of(const struct tmem_shard *shard, uint64_t hash)
{
	uint64_t half = 1ull << (63 - __builtin_clzll(shard->buckets));
	uint64_t n = (hash >> TMEM_SHARD_BITS) & (2 * half - 1);

	return bucket_at(shard, n < shard->buckets ? n : n - half);
}

struct tmem_page *tmem_index_find_page(struct tmem_shard *shard, uint64_t hash,
				       const struct tmem_key *key)
{
	struct tmem_page *page = bucket_of(shard, hash)->pages;

	while (page && (page->index != key->index || !oid_equal(page->object->oid, key->oid)))
		page = page->chain;
	return page;
}

struct tmem_object *tmem_index_find_object(struct tmem_shard *shard, uint64_t hash,
					   const uint64_t oid[3])
{
	struct tmem_object *object = bucket_of(shard, hash)->objects;

	while (object && !oid_equal(object->oid, oid))
		object = object->chain;
	return object;
}

void tmem_index_add_page(struct tmem_shard *shard, uint64_t hash, struct tmem_page *page)
{
	struct bucket *bucket = bucket_of(shard, hash);

	page->chain = bucket->pages;
	bucket->pages = page;
	shard->pages++;
}

void tmem_index_add_object(struct tmem_shard *shard, uint64_t hash, struct tmem_object *object)
{
	struct bucket *bucket = bucket_of(shard, hash);

	object->chain = bucket->objects;
	bucket->objects = object;
}

void tmem_index_remove_page(struct tmem_shard *shard, uint64_t hash, struct tmem_page *page)
{
	struct tmem_page **link = &bucket_of(shard, hash)->pages;

	while (*link != page)
		link = &(*link)->chain;
	*link = page->chain;
	shard->pages--;
}

void tmem_index_remove_object(struct tmem_shard *shard, uint64_t hash, struct tmem_object *object)
{
	struct tmem_object **link = &bucket_of(shard, hash)->objects;

	while (*link != object)
		link = &(*link)->chain;
	*link = object->chain;
}

/* Take a zeroed frame for the index, or NULL. Context: client lock held. */
static void *zeroed_alloc(struct tmem_client *client)
{
	void *frame = tmem_client_frame_alloc(client, TMEM_FRAME_METADATA);

	return frame ? __builtin_memset(frame, 0, TMEM_PAGE_SIZE) : NULL;
}

/*
 * Make sure that there is a frame behind bucket @number, which is at most one frame further than
 * those there are: every shard comes by each. Other shards do the same for their buckets, hence
 * the client's lock, and look without it, hence the atomic count.
 */
static bool bucket_back(struct tmem_pool *pool, uint64_t number)
{
	struct tmem_client *client = pool->client;
	struct tmem_directory **directory = &pool->directories[number / BUCKETS / SLOTS];
	struct leaf *leaf;
	bool done = true;

	if (number / BUCKETS < __atomic_load_n(&pool->leaves, __ATOMIC_ACQUIRE))
		return true;

	tmem_lock_acquire(&client->lock);
	if (number / BUCKETS == pool->leaves) {
		if (pool->leaves % SLOTS == 0 && !*directory)
			*directory = zeroed_alloc(client);
		leaf = *directory ? zeroed_alloc(client) : NULL;
		done = leaf != NULL;
		if (done) {
			(*directory)->leaves[pool->leaves % SLOTS] = leaf;
			__atomic_store_n(&pool->leaves, pool->leaves + 1, __ATOMIC_RELEASE);
		}
	}
	tmem_lock_release(&client->lock);
	return done;
}

/*
 * Add bucket n, and move to it what belongs there from bucket n - 2^k, the only one that can have
 * it: the one whose hashes agree in the low k bits.
 */
static void bucket_split(struct tmem_shard *shard)
{
	uint64_t n = shard->buckets;
	uint64_t half = 1ull << (63 - __builtin_clzll(n));
	struct bucket *from = bucket_at(shard, n - half);
	struct tmem_page *page = from->pages;
	struct tmem_object *object = from->objects;

	from->pages = NULL;
	from->objects = NULL;
	shard->buckets++;
	while (page) {
		struct tmem_page *next = page->chain;
		struct bucket *to = bucket_of(shard, page_hash(page));

		page->chain = to->pages;
		to->pages = page;
		page = next;
	}
	while (object) {
		struct tmem_object *next = object->chain;
		struct bucket *to = bucket_of(shard, tmem_index_hash_oid(object->oid));

		object->chain = to->objects;
		to->objects = object;
		object = next;
	}
}

void tmem_index_grow(struct tmem_shard *shard)
{
	unsigned int i;

	for (i = 0; i < GROW_STEP; i++) {
		if (shard->pages <= shard->buckets || shard->buckets >= MAX_BUCKETS)
			return;
		if (!bucket_back(shard->pool, bucket_number(shard, shard->buckets)))
			return;
		bucket_split(shard);
	}
}

void tmem_index_init(struct tmem_pool *pool, void *const frames[TMEM_INDEX_FRAMES])
{
	struct tmem_directory *directory = __builtin_memset(frames[0], 0, TMEM_PAGE_SIZE);
	unsigned int s;

	directory->leaves[0] = __builtin_memset(frames[1], 0, TMEM_PAGE_SIZE);
	pool->directories[0] = directory;
	pool->leaves = 1;
	for (s = 0; s < TMEM_SHARDS; s++)
		pool->shards[s].buckets = FIRST_BUCKETS;
}

/* The last part of tmem_index_release(): no leaf is left. */
static bool directories_release(struct tmem_pool *pool, unsigned int *budget)
{
	unsigned int i;

	for (i = 0; i < TMEM_DIRECTORIES && pool->directories[i]; i++)
		;
	while (i-- > 0) {
		if (*budget == 0)
			return false;
		tmem_client_frame_free(pool->client, pool->directories[i]);
		pool->directories[i] = NULL;
		*budget = tmem_frame_backlog() ? 0 : *budget - 1;
	}
	return true;
}

bool tmem_index_release(struct tmem_pool *pool, unsigned int *budget)
{
	while (pool->leaves > 0) {
		uint32_t n = pool->leaves - 1;

		if (*budget == 0)
			return false;
		tmem_client_frame_free(pool->client,
				       pool->directories[n / SLOTS]->leaves[n % SLOTS]);
		pool->leaves = n;
		*budget = tmem_frame_backlog() ? 0 : *budget - 1;
	}
	return directories_release(pool, budget);
}

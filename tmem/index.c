/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/index.h"
#include "tmem/client.h"
#include "tmem/frame.h"
#include "tmem/hash.h"
#include "tmem/reserve.h"
#include "tmem/store.h"

#define LINE_SLOTS 10u

/* A cache line of a bucket: the first one in the table, the others in cells. */
struct line {
	uint16_t tags[LINE_SLOTS];
	uint32_t next; /* cell with the bucket's next line, 0: none */
	/* 0: the slot is free, and its tag is that of a page that was here, or was never set. */
	uint32_t cells[LINE_SLOTS];
};

#define LINES (TMEM_PAGE_SIZE / sizeof(struct line)) /* in a frame */
#define SLOTS (TMEM_PAGE_SIZE / sizeof(void *))	     /* in a directory */

/* A frame of buckets. */
struct leaf {
	struct line lines[LINES];
};

struct tmem_directory {
	struct leaf *leaves[SLOTS];
};

/* A shard starts with as many buckets as it has in the first frame. */
#define FIRST_BUCKETS (LINES / TMEM_SHARDS)
#define MAX_BUCKETS   (TMEM_DIRECTORIES * SLOTS * LINES / TMEM_SHARDS)
/*
 * Records for which there are buckets. The frames of buckets are there for all shards: the one with
 * most records brings them about, and the others use what is there earlier than they would ask for
 * it. So the longest buckets have 8.5 records on average, and those of most shards fewer.
 */
#define RECORDS_ENOUGH(buckets) ((buckets)*17 / 2) /* for a new frame */
#define RECORDS_FEW(buckets)	((buckets)*7)
/*
 * With more than these no record is added before there is another bucket: the time that a look-up
 * takes is bounded, whatever a guest leaves its index to grow with.
 */
#define RECORDS_MOST(buckets) ((buckets)*32)
#define GROW_STEP	      2u /* buckets a put: one for its page, one to catch up after want of memory */

/* A tag begins at the last multiple of these bits below those that number the bucket. */
#define TAG_STEP 8u

/* Neighbouring pages, in one shard: 2^6 indices. */
#define GROUP_BITS 6u
#define GROUP_MIX  0x9e3779b97f4a7c15ull /* 2^64 over the golden ratio: neighbouring groups part */

#define SHARD_SHIFT (64u - TMEM_LANE_BITS)

_Static_assert(sizeof(struct line) == TMEM_CELL_SIZE, "a line is a cell");
_Static_assert((FIRST_BUCKETS & (FIRST_BUCKETS - 1)) == 0,
	       "the first split doubles a power of two");

/* ---- hashes ---------------------------------------------------------------------------------- */

static uint64_t hash_of(const uint64_t oid[3], uint64_t index)
{
	uint64_t v[4], hash, shard;

	tmem_hash_start(tmem_store.host.hash_seed, v);
	tmem_hash_word(v, oid[0]);
	tmem_hash_word(v, oid[1]);
	tmem_hash_word(v, oid[2]);
	shard = ((v[0] ^ v[1] ^ v[2] ^ v[3]) + (index >> GROUP_BITS)) * GROUP_MIX >> SHARD_SHIFT;
	tmem_hash_word(v, index);
	hash = tmem_hash_end(v, 4);
	return shard << SHARD_SHIFT | hash << TMEM_LANE_BITS >> TMEM_LANE_BITS;
}

uint64_t tmem_index_hash_key(const struct tmem_key *key)
{
	return hash_of(key->oid, key->index);
}

uint64_t tmem_index_hash_page(const struct tmem_page *page)
{
	return hash_of(page->oid, page->index);
}

uint64_t tmem_index_hash_oid(const uint64_t oid[3])
{
	return tmem_hash_words(tmem_store.host.hash_seed, oid, 3);
}

static uint64_t record_hash(uint32_t number)
{
	const struct tmem_page *page = tmem_cell_at(number);

	return page->object ? tmem_index_hash_page(page) : tmem_index_hash_oid(page->oid);
}

/* ---- buckets --------------------------------------------------------------------------------- */

/* Where bucket @n of a shard lies among the pool's. */
static uint64_t bucket_number(const struct tmem_shard *shard, uint64_t n)
{
	return n * TMEM_SHARDS + (shard->home & TMEM_HOME_SHARD);
}

/* Bucket @n of a shard, which exists. */
static struct line *bucket_at(const struct tmem_shard *shard, uint64_t n)
{
	uint64_t number = bucket_number(shard, n);
	const struct tmem_directory *directory = shard->pool->directories[number / LINES / SLOTS];

	return &directory->leaves[number / LINES % SLOTS]->lines[number % LINES];
}

/* A hash's bucket, and what its slot there is tagged with. */
struct place {
	struct line *line;
	uint16_t tag;
};

static uint16_t tag_of(uint64_t hash, unsigned int bits)
{
	return (uint16_t)(hash >> (bits & ~(TAG_STEP - 1)));
}

static unsigned int log_of(uint64_t buckets)
{
	return 63u - (unsigned int)__builtin_clzll(buckets);
}

/*
 * With 2^k <= buckets < 2^(k+1), the hash modulo 2^(k+1) names the bucket if that exists, and
 * modulo 2^k the one that has not been split for it yet.
 */
static struct place place_of(const struct tmem_shard *shard, uint64_t hash)
{
	unsigned int bits = log_of(shard->buckets);
	uint64_t half = 1ull << bits, n = hash & (half - 1);

	if (n + half < shard->buckets) {
		n = hash & (2 * half - 1);
		bits++;
	}
	return (struct place){.line = bucket_at(shard, n), .tag = tag_of(hash, bits)};
}

void tmem_index_expect(const struct tmem_shard *shard, uint64_t hash)
{
	__builtin_prefetch(place_of(shard, hash).line, 1);
}

/* Add a bucket or two, at the price of ephemeral pages if need be. Returns whether it was done. */
static bool grow_insist(struct tmem_shard *shard);

static struct line *line_next(const struct line *line)
{
	return line->next ? tmem_cell_at(line->next) : NULL;
}

/* The slots of a line, as bits, that have a tag. No branch depends on which. */
static unsigned int line_match(const struct line *line, uint16_t tag)
{
	unsigned int i, hits = 0;

	for (i = 0; i < LINE_SLOTS; i++)
		hits |= (unsigned int)(line->tags[i] == tag) << i;
	return hits;
}

static bool oid_equal(const uint64_t a[3], const uint64_t b[3])
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

/* The record with this name, as its cell's number; @index: NULL for an object's. */
static inline uint32_t find(const struct tmem_shard *shard, uint64_t hash, const uint64_t oid[3],
			    const uint64_t *index)
{
	const struct place place = place_of(shard, hash);
	const struct line *line;

	for (line = place.line; line; line = line_next(line)) {
		unsigned int hits = line_match(line, place.tag);

		for (; hits; hits &= hits - 1) {
			uint32_t number = line->cells[__builtin_ctz(hits)];
			const struct tmem_page *page;

			if (!number)
				continue;
			page = tmem_cell_at(number);
			if (oid_equal(page->oid, oid) &&
			    (index ? page->object && page->index == *index : !page->object))
				return number;
		}
	}
	return 0;
}

struct tmem_page *tmem_index_find_page(const struct tmem_shard *shard, uint64_t hash,
				       const struct tmem_key *key)
{
	uint32_t number = find(shard, hash, key->oid, &key->index);

	return number ? tmem_cell_at(number) : NULL;
}

uint32_t tmem_index_find_object(const struct tmem_shard *shard, uint64_t hash,
				const uint64_t oid[3])
{
	return find(shard, hash, oid, NULL);
}

uint32_t tmem_index_nth(const struct tmem_shard *shard, uint64_t bucket, unsigned int n)
{
	const struct line *line;
	unsigned int i;

	for (line = bucket_at(shard, bucket); line; line = line_next(line))
		for (i = 0; i < LINE_SLOTS; i++)
			if (line->cells[i] && n-- == 0)
				return line->cells[i];
	return 0;
}

/* A free slot of a line, or LINE_SLOTS. One that nobody has left is as good as one that somebody
 * has. */
static unsigned int line_free(const struct line *line)
{
	unsigned int i, free = 0;

	for (i = 0; i < LINE_SLOTS; i++)
		free |= (unsigned int)(line->cells[i] == 0) << i;
	return free ? (unsigned int)__builtin_ctz(free) : LINE_SLOTS;
}

/* Use a free slot of the bucket, if it has one. */
static bool bucket_add(const struct place *place, uint32_t number, bool *was_here)
{
	struct line *line, *into = NULL;
	unsigned int slot = 0;

	for (line = place->line; line; line = line_next(line)) {
		unsigned int hits = line_match(line, place->tag), free;

		for (; hits; hits &= hits - 1) {
			unsigned int hit = (unsigned int)__builtin_ctz(hits);

			if (line->cells[hit])
				continue;
			if (was_here)
				*was_here = true;
			line->cells[hit] = number;
			return true;
		}
		free = into ? LINE_SLOTS : line_free(line);
		if (free < LINE_SLOTS) {
			into = line;
			slot = free;
		}
	}
	if (!into)
		return false;
	into->tags[slot] = place->tag;
	into->cells[slot] = number;
	return true;
}

bool tmem_index_add(struct tmem_shard *shard, uint64_t hash, uint32_t number, bool *was_here)
{
	struct place place;

	if (shard->entries >= RECORDS_MOST(shard->buckets) && !grow_insist(shard))
		return false;
	place = place_of(shard, hash);
	if (!bucket_add(&place, number, was_here)) {
		uint32_t more = tmem_cell_reserve(shard);
		struct line *line;

		if (!more)
			return false;
		line = __builtin_memset(tmem_cell_at(more), 0, sizeof(*line));
		line->tags[0] = place.tag;
		line->cells[0] = number;
		line->next = place.line->next;
		place.line->next = more;
	}
	shard->entries++;
	return true;
}

static bool line_empty(const struct line *line)
{
	unsigned int i;

	for (i = 0; i < LINE_SLOTS && !line->cells[i]; i++)
		;
	return i == LINE_SLOTS;
}

uint32_t tmem_index_remove(struct tmem_shard *shard, uint64_t hash, uint32_t number, bool returns)
{
	const struct place place = place_of(shard, hash);
	struct line *line = place.line, *before = NULL;
	unsigned int i;
	uint32_t spare;

	for (;; before = line, line = line_next(line)) {
		for (i = 0; i < LINE_SLOTS && line->cells[i] != number; i++)
			;
		if (i < LINE_SLOTS)
			break;
	}
	line->cells[i] = 0;
	if (!returns)
		line->tags[i] = 0;
	shard->entries--;
	if (!before || !line_empty(line))
		return 0;
	spare = before->next;
	before->next = line->next;
	return spare;
}

/* ---- growth ---------------------------------------------------------------------------------- */

/*
 * Take a zeroed frame for the index, or NULL. @spare: points to one to be taken, or to NULL.
 * Context: client lock held.
 */
static void *zeroed_alloc(struct tmem_client *client, void **spare)
{
	void *frame = *spare ? *spare : tmem_client_frame_alloc(client, TMEM_FRAME_METADATA);

	*spare = NULL;
	return frame ? __builtin_memset(frame, 0, TMEM_PAGE_SIZE) : NULL;
}

/*
 * See that there is a frame behind the shard's next bucket, which is at most one frame further than
 * those there are: every shard comes by each. Other shards do the same for their buckets, hence
 * the client's lock, and look without it, hence the atomic count. Returns false without memory, and
 * where there are too few records for a new frame. @spare: a frame, charged, that may be used, or
 * NULL.
 */
static bool bucket_back(const struct tmem_shard *shard, void *spare)
{
	uint64_t number = bucket_number(shard, shard->buckets);
	struct tmem_pool *pool = shard->pool;
	struct tmem_client *client = pool->client;
	struct tmem_directory **directory = &pool->directories[number / LINES / SLOTS];
	struct leaf *leaf;
	bool done = true;

	if (!spare) {
		if (number / LINES < __atomic_load_n(&pool->leaves, __ATOMIC_ACQUIRE))
			return true;
		if (shard->entries <= RECORDS_ENOUGH(shard->buckets))
			return false;
	}

	tmem_lock_acquire(&client->lock);
	if (number / LINES == pool->leaves) {
		if (pool->leaves % SLOTS == 0 && !*directory)
			*directory = zeroed_alloc(client, &spare);
		leaf = *directory ? zeroed_alloc(client, &spare) : NULL;
		done = leaf != NULL;
		if (done) {
			(*directory)->leaves[pool->leaves % SLOTS] = leaf;
			__atomic_store_n(&pool->leaves, pool->leaves + 1, __ATOMIC_RELEASE);
		}
	}
	if (spare)
		tmem_client_frame_free(client, spare);
	tmem_lock_release(&client->lock);
	return done;
}

/* One of the two buckets that a split fills, and the lines that the old one had, by their next. */
struct half {
	struct line *line; /* the last so far */
	unsigned int used; /* slots of it */
};

/* There is a spare line where one is needed: both halves together fill no more than one did. */
static void half_add(struct half *half, uint16_t tag, uint32_t number, uint32_t *spare)
{
	if (half->used == LINE_SLOTS) {
		half->line->next = *spare;
		half->line = tmem_cell_at(*spare);
		*spare = half->line->next;
		__builtin_memset(half->line, 0, sizeof(*half->line));
		half->used = 0;
	}
	half->line->tags[half->used] = tag;
	half->line->cells[half->used++] = number;
}

/*
 * Deal a line's records out by bit @bit of their hashes, which their tags tell unless tags of that
 * many bits and one more begin elsewhere.
 */
static void line_deal(const struct line *line, unsigned int bit, struct half halves[2],
		      uint32_t *spare)
{
	bool known = (bit + 1) % TAG_STEP != 0;
	unsigned int i;

	for (i = 0; i < LINE_SLOTS; i++) {
		uint32_t number = line->cells[i];
		uint16_t tag = line->tags[i];
		unsigned int upper = tag >> bit % TAG_STEP & 1;

		if (!number)
			continue;
		if (!known)
			tag = tag_of(record_hash(number), bit + 1);
		half_add(&halves[upper], tag, number, spare);
	}
}

/* Keep the tags of pages that were here, where there is room in a bucket's first line. */
static void left_deal(const struct line *line, unsigned int bit, const struct half halves[2])
{
	unsigned int i, used[2] = {halves[0].used, halves[1].used};

	for (i = 0; i < LINE_SLOTS && (bit + 1) % TAG_STEP != 0; i++) {
		unsigned int upper = line->tags[i] >> bit % TAG_STEP & 1;

		if (!line->cells[i] && line->tags[i] && used[upper] < LINE_SLOTS)
			halves[upper].line->tags[used[upper]++] = line->tags[i];
	}
}

/*
 * Add bucket n, and move to it what belongs there from bucket n - 2^k, the only one that can have
 * it: the one whose hashes agree in the low k bits.
 */
static void bucket_split(struct tmem_shard *shard)
{
	unsigned int bit = log_of(shard->buckets);
	struct line *old = bucket_at(shard, shard->buckets - (1ull << bit));
	struct half halves[2] = {{.line = old}, {.line = bucket_at(shard, shard->buckets)}};
	const struct line first = *old;
	struct line line = first;
	uint32_t spare = 0;

	shard->buckets++;
	__builtin_memset(old, 0, sizeof(*old));
	line_deal(&line, bit, halves, &spare);
	while (line.next) {
		uint32_t number = line.next;
		struct line *from = tmem_cell_at(number);

		line = *from;
		from->next = spare;
		spare = number;
		line_deal(&line, bit, halves, &spare);
	}
	left_deal(&first, bit, halves);
	while (spare) {
		uint32_t number = spare;

		spare = ((struct line *)tmem_cell_at(number))->next;
		tmem_cells_free(shard->pool->client, &number, 1);
	}
}

void tmem_index_grow(struct tmem_shard *shard)
{
	unsigned int i;

	for (i = 0; i < GROW_STEP; i++) {
		if (shard->entries <= RECORDS_FEW(shard->buckets) || shard->buckets >= MAX_BUCKETS)
			return;
		if (!bucket_back(shard, NULL))
			return;
		bucket_split(shard);
	}
}

static bool grow_insist(struct tmem_shard *shard)
{
	uint64_t buckets = shard->buckets;
	void *frame;

	tmem_index_grow(shard);
	if (shard->buckets == buckets && buckets < MAX_BUCKETS) {
		frame = tmem_frame_reserve(shard->pool->client, TMEM_FRAME_METADATA, shard);
		if (frame && bucket_back(shard, frame))
			bucket_split(shard);
	}
	return shard->buckets > buckets;
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

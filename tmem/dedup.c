/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/client.h"
#include "tmem/dedup.h"
#include "tmem/frame.h"
#include "tmem/group.h"
#include "tmem/hold.h"
#include "tmem/store.h"

/*
 * A mark: the low bits name the table's shard, the others are the tag. The low bits of the tag
 * are the bucket, as many as the shard has use for; what is above tells contents apart.
 *
 * A slot is 0, or frame number, tag and number of references.
 *
 * A content whose bucket is full goes to the bucket of another tag, made of its own, and has that
 * tag in its slot. So it is looked for in both; without the second a tenth of what is in the table
 * would not be found, because the buckets that are split last are twice as full as the others.
 */
#define SHARD_BITS  5u
#define SHARDS	    (1u << SHARD_BITS)
#define TAG_BITS    (TMEM_MARK_BITS - SHARD_BITS)
#define REFS_BITS   8u
#define REFS_MAX    ((1u << REFS_BITS) - 1)
#define FRAME_SHIFT 32u

#define SLOTS	      8u /* in a bucket */
#define LINES	      (TMEM_PAGE_SIZE / sizeof(struct bucket))
#define LEAVES	      (TMEM_PAGE_SIZE / sizeof(void *)) /* in a directory */
#define DIRECTORIES   240u
#define FIRST_BUCKETS (LINES / SHARDS)
#define MAX_BUCKETS   (DIRECTORIES * LEAVES * LINES / SHARDS)
#define FILLED_TO     4u	/* contents a bucket on average, from where on the table grows */
#define GROW_STEP     2u	/* buckets a call: one for its content, one to catch up */
#define OTHER_TAG     0x9d2c5au /* differs from the tag by these bits */
#define LINE_SIZE     64u
#define AHEAD	      512u /* bytes of a content that are fetched before it is compared */
#define COMPARED      2u   /* contents, at most, in a search */

_Static_assert(REFS_BITS + TAG_BITS == FRAME_SHIFT, "a slot is full");

/* One cache line. */
struct bucket {
	uint64_t slots[SLOTS];
};

struct leaf {
	struct bucket buckets[LINES];
};

struct directory {
	struct leaf *leaves[LEAVES];
};

struct shard {
	struct tmem_lock lock; /* protects the shard and its buckets; see tmem/lock.h */
	uint64_t buckets;      /* also read without the lock, as a hint; so all below */
	uint64_t contents;     /* listed */
	uint64_t shared;       /* references to them, beside the first to each */
} __attribute__((aligned(64)));

/* Bucket n of shard s is number n * SHARDS + s, in the leaves that the directories name. */
struct tmem_table {
	struct shard shards[SHARDS];
	uint64_t leaves; /* grown with the client's lock held; what there is, is read without */
	struct directory *directories[DIRECTORIES];
};

_Static_assert(sizeof(struct tmem_table) <= TMEM_PAGE_SIZE, "a table's head fits a frame");
_Static_assert(MAX_BUCKETS <= 1u << TAG_BITS, "a tag has a bit for each split");
_Static_assert((FIRST_BUCKETS & (FIRST_BUCKETS - 1)) == 0, "the first split doubles");

/* ---- slots ----------------------------------------------------------------------------------- */

static uint32_t tag_of(uint32_t mark)
{
	return mark >> SHARD_BITS;
}

static uint64_t slot_make(const void *frame, uint32_t tag, uint32_t refs)
{
	return (uint64_t)tmem_frame_number(frame) << FRAME_SHIFT | tag << REFS_BITS | refs;
}

static uint32_t slot_tag(uint64_t slot)
{
	return (uint32_t)slot >> REFS_BITS;
}

static uint32_t slot_refs(uint64_t slot)
{
	return slot & REFS_MAX;
}

static void *slot_frame(uint64_t slot)
{
	return tmem_frame_at((uint32_t)(slot >> FRAME_SHIFT));
}

static struct bucket *bucket_at(const struct tmem_table *table, const struct shard *shard,
				uint64_t n)
{
	uint64_t number = n * SHARDS + (uint64_t)(shard - table->shards);
	const struct directory *directory = table->directories[number / LINES / LEAVES];

	return &directory->leaves[number / LINES % LEAVES]->buckets[number % LINES];
}

/*
 * The bucket of a tag. With 2^k <= buckets < 2^(k+1), the tag modulo 2^(k+1) names the bucket if it
 * exists, and modulo 2^k the one that has not been split for it yet.
 * Context: the shard's lock held, as for all below; without it the answer is a hint.
 */
static struct bucket *bucket_of(const struct tmem_table *table, const struct shard *shard,
				uint32_t tag)
{
	uint64_t buckets = __atomic_load_n(&shard->buckets, __ATOMIC_ACQUIRE);
	uint64_t half = 1ull << (63 - __builtin_clzll(buckets));
	uint64_t n = tag & (2 * half - 1);

	return bucket_at(table, shard, n < buckets ? n : n - half);
}

/* Where a mark's contents may be. */
struct place {
	struct shard *shard;
	uint32_t tags[2];
	struct bucket *buckets[2];
};

static void place_set(struct place *place, struct tmem_table *table, uint32_t mark)
{
	unsigned int b;

	place->shard = &table->shards[mark % SHARDS];
	for (b = 0; b < 2; b++) {
		place->tags[b] = tag_of(mark) ^ (b ? OTHER_TAG : 0);
		place->buckets[b] = bucket_of(table, place->shard, place->tags[b]);
	}
}

/* Lock the shard of a mark in a client's table. Returns false when the client has no table. */
static bool place_lock(const struct tmem_client *client, uint32_t mark, struct place *place)
{
	struct tmem_table *table = __atomic_load_n(&client->dedup.table, __ATOMIC_ACQUIRE);

	if (!table)
		return false;
	tmem_lock_acquire(&table->shards[mark % SHARDS].lock);
	place_set(place, table, mark);
	return true;
}

static void place_unlock(struct place *place)
{
	tmem_lock_release(&place->shard->lock);
}

/* The slot of a frame in a bucket, or NULL; frame 0, which is no page's, has the free ones. */
static uint64_t *bucket_find(struct bucket *bucket, uint32_t frame)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		if (bucket->slots[i] >> FRAME_SHIFT == frame)
			return &bucket->slots[i];
	return NULL;
}

/* The slot of a frame, or NULL: it is not listed. */
static uint64_t *slot_find(struct place *place, const void *frame)
{
	uint32_t number = tmem_frame_number(frame);
	uint64_t *slot = bucket_find(place->buckets[0], number);

	return slot ? slot : bucket_find(place->buckets[1], number);
}

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void refer(struct shard *shard, uint64_t *slot)
{
	*slot = *slot + 1;
	count(&shard->shared, 1);
}

/* List a frame, with one reference. Returns false without room. */
static bool slot_enter(struct place *place, const void *frame)
{
	unsigned int b;

	for (b = 0; b < 2; b++) {
		uint64_t *slot = bucket_find(place->buckets[b], 0);

		if (!slot)
			continue;
		*slot = slot_make(frame, place->tags[b], 1);
		count(&place->shard->contents, 1);
		return true;
	}
	return false;
}

static void unlist(struct shard *shard, uint64_t *slot)
{
	*slot = 0;
	count(&shard->contents, UINT64_MAX); /* one less */
}

uint32_t tmem_dedup_mark(uint64_t fingerprint)
{
	return fingerprint & ((1u << TMEM_MARK_BITS) - 1);
}

/* As place_lock(), but a guess. Returns false when the client has no table. */
static bool place_guess(const struct tmem_client *client, uint32_t mark, struct place *place)
{
	struct tmem_table *table = __atomic_load_n(&client->dedup.table, __ATOMIC_ACQUIRE);

	if (table)
		place_set(place, table, mark);
	return table;
}

void tmem_dedup_expect(const struct tmem_client *client, uint32_t mark)
{
	struct place place;

	if (!place_guess(client, mark, &place))
		return;
	__builtin_prefetch(place.buckets[0], 1);
	__builtin_prefetch(place.buckets[1], 1);
}

/* ---- the table's memory ---------------------------------------------------------------------- */

/* Take a zeroed frame for the table, or NULL. Context: client lock held. */
static void *zeroed_alloc(struct tmem_client *client)
{
	void *frame = tmem_client_frame_alloc(client, TMEM_FRAME_METADATA);

	return frame ? __builtin_memset(frame, 0, TMEM_PAGE_SIZE) : NULL;
}

/* Make sure of a leaf behind bucket @number, which is at most one further than there are. */
static bool leaf_back(struct tmem_client *client, struct tmem_table *table, uint64_t number)
{
	struct directory **directory = &table->directories[number / LINES / LEAVES];
	struct leaf *leaf;

	if (number / LINES < table->leaves)
		return true;
	if (!*directory)
		*directory = zeroed_alloc(client);
	leaf = *directory ? zeroed_alloc(client) : NULL;
	if (!leaf)
		return false;
	(*directory)->leaves[number / LINES % LEAVES] = leaf;
	__atomic_store_n(&table->leaves, table->leaves + 1, __ATOMIC_RELEASE);
	return true;
}

/* Make a table. Without the memory for all of it, what there is is given back. */
static struct tmem_table *table_make(struct tmem_client *client)
{
	struct tmem_table *table = zeroed_alloc(client);
	unsigned int s;

	if (!table)
		return NULL;
	if (!leaf_back(client, table, 0)) {
		if (table->directories[0])
			tmem_client_frame_free(client, table->directories[0]);
		tmem_client_frame_free(client, table);
		return NULL;
	}
	for (s = 0; s < SHARDS; s++)
		table->shards[s].buckets = FIRST_BUCKETS;
	return table;
}

/* Add a bucket to a shard: split the one that has had its contents. Context: shard lock held. */
static void bucket_split(struct tmem_table *table, struct shard *shard)
{
	uint64_t n = shard->buckets;
	uint64_t half = 1ull << (63 - __builtin_clzll(n));
	struct bucket *from = bucket_at(table, shard, n - half), *to = bucket_at(table, shard, n);
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		bool moves = slot_tag(from->slots[i]) & half;

		to->slots[i] = moves ? from->slots[i] : 0;
		from->slots[i] = moves ? 0 : from->slots[i];
	}
	__atomic_store_n(&shard->buckets, n + 1, __ATOMIC_RELEASE);
	/* The next to be split, of those that nobody may have looked at for long. */
	if (n + 1 < 2 * half)
		__builtin_prefetch(bucket_at(table, shard, n + 1 - half), 1);
}

static bool is_full(const struct shard *shard)
{
	uint64_t buckets = __atomic_load_n(&shard->buckets, __ATOMIC_RELAXED);
	uint64_t contents = __atomic_load_n(&shard->contents, __ATOMIC_RELAXED);

	return contents > buckets * FILLED_TO && buckets < MAX_BUCKETS;
}

static void shard_grow(struct tmem_client *client, struct tmem_table *table, struct shard *shard)
{
	uint64_t number = (uint64_t)(shard - table->shards) + shard->buckets * SHARDS;

	if (!is_full(shard) || !leaf_back(client, table, number))
		return;
	tmem_lock_acquire(&shard->lock);
	bucket_split(table, shard);
	tmem_lock_release(&shard->lock);
}

static void table_grow(struct tmem_client *client, uint32_t mark)
{
	struct tmem_table *table = __atomic_load_n(&client->dedup.table, __ATOMIC_ACQUIRE);
	unsigned int i;

	if (table && !is_full(&table->shards[mark % SHARDS]))
		return;
	tmem_lock_acquire(&client->lock);
	if (!client->dedup.table)
		__atomic_store_n(&client->dedup.table, table_make(client), __ATOMIC_RELEASE);
	table = client->dedup.table;
	for (i = 0; i < GROW_STEP && table; i++)
		shard_grow(client, table, &table->shards[mark % SHARDS]);
	tmem_lock_release(&client->lock);
}

/* ---- finding --------------------------------------------------------------------------------- */

/*
 * The @skip-th slot with the mark and less than @refs references, counted down; NULL: none. What is
 * in a block that is to be emptied gets no more pages.
 */
static uint64_t *slot_match(struct place *place, unsigned int refs, unsigned int *skip)
{
	unsigned int b, i;

	for (b = 0; b < 2; b++) {
		for (i = 0; i < SLOTS; i++) {
			uint64_t *slot = &place->buckets[b]->slots[i];

			if (*slot && slot_tag(*slot) == place->tags[b] && slot_refs(*slot) < refs &&
			    !tmem_frame_is_sealed(slot_frame(*slot)) && (*skip)-- == 0)
				return slot;
		}
	}
	return NULL;
}

/*
 * Look for a content with the mark, the @skip-th that there is, and take it so that it stays:
 * refer to it, or hold it if the table is another client's. Returns its frame or NULL.
 */
static void *candidate_take(struct tmem_client *owner, uint32_t mark, bool hold, unsigned int *skip)
{
	struct place place;
	void *frame = NULL;
	uint64_t *slot;
	unsigned int at;

	if (!place_lock(owner, mark, &place))
		return NULL;
	slot = slot_match(&place, hold ? REFS_MAX + 1 : REFS_MAX, skip);
	if (slot) {
		frame = slot_frame(*slot);
		for (at = 0; at < AHEAD; at += LINE_SIZE)
			__builtin_prefetch((char *)frame + at);
		if (!hold)
			refer(place.shard, slot);
		else if (!tmem_hold_take(frame))
			frame = NULL;
	}
	place_unlock(&place);
	return frame;
}

void *tmem_dedup_candidate(struct tmem_client *owner, uint32_t mark, unsigned int *skip)
{
	return candidate_take(owner, mark, true, skip);
}

/* It is not charged to whoever held it: the frame becomes free with the last. */
void tmem_dedup_forget(void *frame)
{
	if (tmem_hold_drop(frame))
		tmem_frame_free(frame, false);
}

/* End a reference of the client's, and what it was charged for it if that was the last. */
static void reference_end(struct tmem_client *client, uint32_t mark, void *frame)
{
	enum tmem_dedup_left left = tmem_dedup_drop(client, mark, frame);

	if (left == TMEM_DEDUP_USED)
		return;
	tmem_lock_acquire(&client->lock);
	if (left == TMEM_DEDUP_FREE)
		tmem_client_frame_free(client, frame);
	else
		tmem_client_uncharge(client);
	tmem_lock_release(&client->lock);
}

enum tmem_dedup_found tmem_dedup_find(struct tmem_client *client, uint32_t mark, const void *src,
				      void **frame)
{
	unsigned int tries;

	if (client->dedup.domain == TMEM_DEDUP_OFF)
		return TMEM_DEDUP_NONE;
	for (tries = 0; tries < COMPARED; tries++) {
		unsigned int skip = tries;

		*frame = candidate_take(client, mark, false, &skip);
		if (!*frame)
			break;
		if (tmem_store.host.page_equal(src, *frame))
			return TMEM_DEDUP_OWN;
		reference_end(client, mark, *frame);
	}
	for (tries = 0; tries < COMPARED; tries++) {
		*frame = tmem_group_candidate(client, mark, tries);
		if (!*frame)
			break;
		if (tmem_store.host.page_equal(src, *frame))
			return TMEM_DEDUP_OTHERS;
		tmem_dedup_forget(*frame);
	}
	return TMEM_DEDUP_NONE;
}

/* ---- listing --------------------------------------------------------------------------------- */

bool tmem_dedup_list(struct tmem_client *client, uint32_t mark, void *frame)
{
	struct place place;
	bool done;

	if (client->dedup.domain == TMEM_DEDUP_OFF)
		return false;
	table_grow(client, mark);
	if (!place_lock(client, mark, &place))
		return false;
	done = slot_enter(&place, frame);
	place_unlock(&place);
	return done;
}

enum tmem_dedup_found tmem_dedup_enter(struct tmem_client *client, uint32_t mark, void *frame)
{
	enum tmem_dedup_found found = TMEM_DEDUP_NONE;
	struct place place;

	table_grow(client, mark);
	if (place_lock(client, mark, &place)) {
		uint64_t *slot = slot_find(&place, frame);

		if (slot && slot_refs(*slot) < REFS_MAX) {
			/* Another CPU was faster. */
			refer(place.shard, slot);
			found = TMEM_DEDUP_OWN;
		} else if (!slot && slot_enter(&place, frame)) {
			found = TMEM_DEDUP_OTHERS;
		}
		place_unlock(&place);
	}
	if (found != TMEM_DEDUP_OTHERS)
		tmem_dedup_forget(frame);
	return found;
}

/* Whether one page alone refers to a listed frame; then, if @claims, it is not listed any more. */
static bool is_alone(struct tmem_client *client, uint32_t mark, const void *frame, bool claims)
{
	struct place place;
	bool alone = false;
	uint64_t *slot;

	if (!place_lock(client, mark, &place))
		return false;
	slot = slot_find(&place, frame);
	/* Nobody can come to hold it now: who does not, has only this table to find it in. */
	alone = slot_refs(*slot) == 1 && !tmem_hold_is_shared(frame);
	if (alone && claims)
		unlist(place.shard, slot);
	place_unlock(&place);
	return alone;
}

bool tmem_dedup_is_alone(struct tmem_client *client, uint32_t mark, const void *frame)
{
	return is_alone(client, mark, frame, false);
}

bool tmem_dedup_claim(struct tmem_client *client, uint32_t mark, void *frame)
{
	return is_alone(client, mark, frame, true);
}

enum tmem_dedup_left tmem_dedup_drop(struct tmem_client *client, uint32_t mark, void *frame)
{
	struct place place;
	uint64_t *slot;
	bool last;

	if (!place_lock(client, mark, &place))
		return TMEM_DEDUP_USED;
	slot = slot_find(&place, frame);
	last = slot_refs(*slot) == 1;
	if (last) {
		unlist(place.shard, slot);
	} else {
		*slot = *slot - 1;
		count(&place.shard->shared, UINT64_MAX);
	}
	place_unlock(&place);
	if (!last)
		return TMEM_DEDUP_USED;
	return tmem_hold_drop(frame) ? TMEM_DEDUP_FREE : TMEM_DEDUP_HELD;
}

/* ---- clients --------------------------------------------------------------------------------- */

uint64_t tmem_dedup_shared(const struct tmem_client *client)
{
	const struct tmem_table *table = __atomic_load_n(&client->dedup.table, __ATOMIC_ACQUIRE);
	uint64_t shared = 0;
	unsigned int s;

	for (s = 0; s < SHARDS && table; s++)
		shared += __atomic_load_n(&table->shards[s].shared, __ATOMIC_RELAXED);
	return shared;
}

void tmem_dedup_init(struct tmem_client *client, const struct tmem_limits *limits)
{
	client->dedup.domain = limits->dedup;
	if (limits->dedup > TMEM_DEDUP_ALONE &&
	    (limits->reserve > 0 || limits->dedup - TMEM_DEDUP_GROUP >= TMEM_DEDUP_GROUPS))
		client->dedup.domain = TMEM_DEDUP_ALONE;
	tmem_group_join(client);
}

static void frame_release(struct tmem_client *client, void *frame, unsigned int *budget)
{
	tmem_client_frame_free(client, frame);
	*budget = tmem_frame_backlog() ? 0 : *budget - 1;
}

/* The frames of an empty table, its head last. Context: client lock held. */
static bool table_release(struct tmem_client *client, unsigned int *budget)
{
	struct tmem_table *table = client->dedup.table;

	while (table && *budget > 0) {
		uint64_t n = table->leaves, d = (n + LEAVES - 1) / LEAVES;

		if (n % LEAVES == 0 && d < DIRECTORIES && table->directories[d]) {
			/* The directory behind the last leaf. */
			frame_release(client, table->directories[d], budget);
			table->directories[d] = NULL;
		} else if (n > 0) {
			table->leaves = --n;
			frame_release(client, table->directories[n / LEAVES]->leaves[n % LEAVES],
				      budget);
		} else {
			client->dedup.table = NULL;
			frame_release(client, table, budget);
			table = NULL;
		}
	}
	return !table;
}

bool tmem_dedup_release(struct tmem_client *client, unsigned int *budget)
{
	bool done;

	tmem_group_leave(client);
	tmem_lock_acquire(&client->lock);
	done = table_release(client, budget);
	tmem_lock_release(&client->lock);
	return done;
}

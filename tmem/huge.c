/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of 2 MiB, in pools of order 9.
 *
 * Such a page is 512 ordinary ones, its parts, and a head that says whether they belong together:
 * so eviction, charge, filled parts, flushing an object and destroying a pool are those of ordinary
 * pages, and no call does more than 64 of them. The keys of both have the page's object id.
 *
 *   head   index 2^63 | page's index: a filled page, whose word is state, next step and generation
 *   parts  index page's index << 29 | generation << 9 | n
 *
 * Each construction has a generation of its own, and so keys that no other writes to. It becomes
 * the page at once, when the head's state turns to complete. What is done to the head is one
 * critical section of its shard; parts are copied between two of them. A part that is missing means
 * that the page is gone: so an ephemeral page vanishes whole though it is evicted part by part.
 *
 * Parts are put and got in steps of a few, and a call makes as many steps as it has time for: less
 * where pages have to be compressed.
 */
#include <tidepool/abi.h>

#include "tmem/client.h"
#include "tmem/content.h"
#include "tmem/frame.h"
#include "tmem/huge.h"
#include "tmem/index.h"
#include "tmem/ops.h"
#include "tmem/page.h"
#include "tmem/pool.h"

/* A head's state. All but one are to gets as if there were no page. */
enum state {
	DEAD,	       /* parts of the steps before next are still to be dropped */
	DEAD_FLUSHED,  /* likewise; a flush found a page */
	DEAD_REPLACED, /* likewise; a put found a page */
	BUILDING,      /* parts of the steps before next have been put */
	BUSY,	       /* likewise, and some CPU is putting those of step next */
	TAKEN, /* parts of the steps before next have gone to the guest that gets the page */
	COMPLETE,
};

#define PARTS		512u
#define PART_BITS	9u
#define STEP		4u /* parts; no call ends within one */
#define STEPS		(PARTS / STEP)
#define STEPS_BITS	8u
#define CALL_STEPS	16u /* that a call makes at most */
#define GET_COST	24u /* tmem_costs(), behind which it makes none more */
#define PUT_COST	0u  /* likewise: a part may have two pages compressed for it */
#define GENERATION_BITS 20u
#define INDEX_BITS	34u  /* of the page's index: 32 PiB in an object */
#define LOOKUPS		128u /* indices of a range that a call looks up, beside dropping a step */

_Static_assert(INDEX_BITS + GENERATION_BITS + PART_BITS == 63, "heads have the other indices");

/* What the word of a head says. */
struct head {
	enum state state;
	uint32_t next; /* 0 to STEPS */
	uint32_t generation;
};

/* Where a call goes on from: what the one before it returned. */
#define COOKIE	    (1ull << 62)
#define COOKIE_BITS (GENERATION_BITS + STEPS_BITS)

/* A page of an open pool of order 9: all that the steps of a call need. */
struct huge {
	struct tmem_client *client;
	uint64_t pool;
	struct tmem_key key; /* the guest's */
	struct tmem_key head_key;
	uint64_t hash; /* of head_key */
};

static const char zeroes[TMEM_PAGE_SIZE] __attribute__((aligned(TMEM_PAGE_SIZE)));

static uint32_t word_of(struct head head)
{
	return (uint32_t)head.state << COOKIE_BITS | head.next << GENERATION_BITS | head.generation;
}

static struct head head_of(uint32_t word)
{
	return (struct head){
		.state = (enum state)(word >> COOKIE_BITS),
		.next = word >> GENERATION_BITS & ((1u << STEPS_BITS) - 1),
		.generation = word & ((1u << GENERATION_BITS) - 1),
	};
}

/* The cookie with which a call goes on at @head.next. Its state counts for nothing. */
static uint64_t cookie_of(struct head head)
{
	return COOKIE | (uint64_t)head.next << GENERATION_BITS | head.generation;
}

static bool cookie_is_valid(uint64_t cookie)
{
	return cookie == 0 || (cookie >> COOKIE_BITS == COOKIE >> COOKIE_BITS &&
			       head_of((uint32_t)cookie).next < STEPS);
}

static bool huge_init(struct huge *huge, struct tmem_client *client, uint64_t pool,
		      const struct tmem_key *key)
{
	*huge = (struct huge){.client = client, .pool = pool, .key = *key, .head_key = *key};
	huge->head_key.index = 1ull << 63 | key->index;
	huge->hash = tmem_index_hash_key(&huge->head_key);
	return key->index >> INDEX_BITS == 0;
}

static struct tmem_key part_key(const struct huge *huge, uint32_t generation, uint32_t n)
{
	struct tmem_key key = huge->key;

	key.index = (key.index << GENERATION_BITS | generation) << PART_BITS | n;
	return key;
}

static struct tmem_shard *head_lock(const struct huge *huge, enum tmem_access access,
				    int64_t *error)
{
	return tmem_shard_lock(huge->client, huge->pool, huge->hash, access | TMEM_HUGE, error);
}

/* Find the head. Returns NULL when there is none. Context: its shard's lock held. */
static struct tmem_page *head_find(const struct huge *huge, struct tmem_shard *shard,
				   struct head *head)
{
	struct tmem_page *page = tmem_index_find_page(shard, huge->hash, &huge->head_key);

	if (page)
		*head = head_of(tmem_content_word(page));
	return page;
}

static void head_set(struct tmem_page *page, struct head head)
{
	tmem_content_fill(page, word_of(head));
}

/* Drop the parts of one step. Context: no lock held. */
static void parts_drop(const struct huge *huge, uint32_t generation, uint32_t step)
{
	uint32_t n;

	for (n = step * STEP; n < (step + 1) * STEP; n++) {
		struct tmem_key key = part_key(huge, generation, n);

		(void)tmem_flush_in(huge->client, huge->pool, &key, TMEM_CHANGE | TMEM_HUGE);
	}
}

/*
 * Drop a call's worth of what a dead head still has, and the head after the last.
 * Returns 1 when this made it go, 0 when it was gone, -TIDEPOOL_EAGAIN: more is left.
 * Context: no lock held.
 */
static int64_t dead_drop(const struct huge *huge, struct head dead)
{
	const uint32_t count = dead.next < CALL_STEPS ? dead.next : CALL_STEPS;
	struct tmem_shard *shard;
	struct tmem_page *page;
	struct head head = {.state = DEAD};
	int64_t ret;
	uint32_t n;

	for (n = 0; n < count; n++)
		parts_drop(huge, dead.generation, dead.next - 1 - n);
	shard = head_lock(huge, TMEM_CHANGE, &ret);
	if (!shard)
		return 0;
	page = head_find(huge, shard, &head);
	/* Other CPUs may have done the same, or have gone on to something else. */
	if (page && word_of(head) != word_of(dead)) {
		ret = -TIDEPOOL_EAGAIN;
	} else if (page && head.next > count) {
		head.next -= count;
		head_set(page, head);
		ret = -TIDEPOOL_EAGAIN;
	} else if (page) {
		tmem_page_drop(page);
		ret = 1;
	}
	tmem_shard_unlock(shard);
	return ret;
}

static bool is_dead(struct head head)
{
	return head.state <= DEAD_REPLACED;
}

/*
 * Let a page be gone for everybody; its parts are still to be dropped.
 * @why: DEAD_FLUSHED or DEAD_REPLACED. Context: shard lock held.
 */
static void head_kill(struct tmem_page *page, struct head *head, enum state why)
{
	if (is_dead(*head))
		return;
	if (head->state == BUSY)
		head->next++;
	else if (head->state != BUILDING)
		head->next = STEPS;
	head->state = head->state == COMPLETE ? why : DEAD;
	head_set(page, *head);
}

/* Make the head of a new construction. Returns 0 or the refusal. Context: shard lock held. */
static int64_t head_make(const struct huge *huge, struct tmem_shard *shard, struct head *head)
{
	struct tmem_staged staged;
	struct tmem_page *page;

	if (tmem_client_frozen(huge->client))
		return -TIDEPOOL_EFROZEN;
	tmem_content_stage_zero(&staged);
	page = tmem_page_create(shard, huge->hash, &huge->head_key, &staged);
	if (!page)
		return -TIDEPOOL_ENOMEM;
	tmem_index_grow(shard);
	*head = (struct head){
		.state = BUSY,
		.generation = __atomic_fetch_add(&huge->client->generation, 1, __ATOMIC_RELAXED) &
			      ((1u << GENERATION_BITS) - 1),
	};
	head_set(page, *head);
	return 0;
}

/*
 * The first half of a step of a put: claim the construction that the cookie names, or begin one.
 * Returns 0 with @head BUSY; -TIDEPOOL_EAGAIN with @head dead, to be dropped first, or with
 * another CPU at it; or the refusal.
 */
static int64_t put_claim(const struct huge *huge, uint64_t cookie, struct head *head)
{
	struct tmem_page *page;
	struct tmem_shard *shard;
	int64_t ret;

	shard = head_lock(huge, TMEM_CHANGE, &ret);
	if (!shard)
		return ret;
	page = head_find(huge, shard, head);
	if (cookie == 0 && !page) {
		ret = head_make(huge, shard, head);
	} else if (cookie == 0) {
		head_kill(page, head, DEAD_REPLACED);
		ret = -TIDEPOOL_EAGAIN;
	} else if (!page || head->generation != head_of((uint32_t)cookie).generation) {
		ret = -TIDEPOOL_ENOSPC; /* flushed or put anew by another CPU, or evicted */
	} else if (is_dead(*head) || head->state == BUSY) {
		ret = -TIDEPOOL_EAGAIN;
	} else if (head->state == BUILDING && cookie == cookie_of(*head)) {
		head->state = BUSY;
		head_set(page, *head);
		if (!shard->pool->persistent)
			tmem_page_renew(page);
	} else {
		ret = -TIDEPOOL_ENOSPC;
	}
	tmem_shard_unlock(shard);
	return ret;
}

/* Put the parts of a step. Returns 0 or why not all of them could be. Context: no lock held. */
static int64_t parts_put(const struct huge *huge, struct head head, const char *data)
{
	uint32_t n = head.next * STEP, end = n + STEP;
	int64_t ret = 0;

	for (; n < end && ret == 0; n++) {
		struct tmem_key key = part_key(huge, head.generation, n);
		const char *part = data ? data + (uint64_t)n * TMEM_PAGE_SIZE : zeroes;

		ret = tmem_put_in(huge->client, huge->pool, &key, part,
				  data && n + 1 < PARTS ? part + TMEM_PAGE_SIZE : NULL,
				  TMEM_CHANGE | TMEM_HUGE);
	}
	return ret;
}

/*
 * The second half: enter what was put, or could not be.
 * Returns the step's result; -TIDEPOOL_EAGAIN with @head dead.
 */
static int64_t put_settle(const struct huge *huge, struct head *head, int64_t error)
{
	const struct head claimed = *head;
	struct tmem_shard *shard;
	struct tmem_page *page;
	int64_t ret;

	shard = head_lock(huge, TMEM_CHANGE, &ret);
	if (!shard)
		return ret;
	page = head_find(huge, shard, head);
	if (!page || word_of(*head) != word_of(claimed)) {
		ret = -TIDEPOOL_ENOSPC;
	} else if (error) {
		head_kill(page, head, DEAD_REPLACED);
		ret = -TIDEPOOL_EAGAIN;
	} else {
		head->next++;
		head->state = head->next == STEPS ? COMPLETE : BUILDING;
		if (head->state == COMPLETE)
			head->next = 0;
		head_set(page, *head);
		/* The last of the page to be evicted is its head. */
		if (!shard->pool->persistent)
			tmem_page_renew(page);
		ret = head->state == COMPLETE ? 0 : (int64_t)cookie_of(*head);
	}
	tmem_shard_unlock(shard);
	/* What lost its head meanwhile was put behind the back of who dropped the rest. */
	if (ret == -TIDEPOOL_ENOSPC)
		parts_drop(huge, claimed.generation, claimed.next);
	return ret;
}

/* Drop what stands in the way of a put, or what a refused one has left. Returns its result. */
static int64_t put_clear(const struct huge *huge, struct head dead, bool refused)
{
	int64_t ret = dead_drop(huge, dead);

	if (ret < 0)
		return ret;
	/* A replacement by a frozen guest ends here; one by another begins now. */
	refused = refused || (dead.state == DEAD_REPLACED && tmem_client_frozen(huge->client));
	return refused ? -TIDEPOOL_ENOSPC : -TIDEPOOL_EAGAIN;
}

/* One step of a put. Returns as tmem_huge_put(). */
static int64_t put_step(const struct huge *huge, const void *data, uint64_t cookie)
{
	struct head head = {.state = DEAD};
	int64_t ret = put_claim(huge, cookie, &head);

	if (ret == 0) {
		ret = put_settle(huge, &head, parts_put(huge, head, data));
		if (ret == -TIDEPOOL_EAGAIN)
			ret = put_clear(huge, head, true);
	} else if (ret == -TIDEPOOL_EAGAIN && is_dead(head)) {
		ret = put_clear(huge, head, cookie != 0);
	}
	return ret;
}

/* Whether a call that has made so many steps, at costs from @costs on, has time for one more. */
static bool has_time(uint32_t steps, uint64_t costs, uint64_t most)
{
	return steps < CALL_STEPS && tmem_costs() - costs <= most;
}

int64_t tmem_huge_put(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		      const void *data, uint64_t cookie)
{
	const uint64_t costs = tmem_costs();
	struct huge huge;
	uint32_t steps = 0;
	int64_t ret;

	if (!huge_init(&huge, client, pool, key) || !cookie_is_valid(cookie))
		return -TIDEPOOL_EINVAL;
	do {
		ret = put_step(&huge, data, cookie);
		cookie = (uint64_t)ret;
	} while (ret > 0 && has_time(++steps, costs, PUT_COST));
	tmem_frame_trim();
	if (ret == 0)
		tmem_client_count(client, TMEM_PUTS, 1);
	else if (ret == -TIDEPOOL_ENOMEM || ret == -TIDEPOOL_ENOSPC || ret == -TIDEPOOL_EFROZEN)
		tmem_client_count(client, TMEM_REFUSED, 1);
	return ret;
}

/* Find the page that a get reads, or goes on with. Returns 0 with @head.next set, or the error. */
static int64_t get_claim(const struct huge *huge, uint64_t cookie, struct head *head)
{
	struct head from = head_of((uint32_t)cookie);
	struct tmem_page *page;
	struct tmem_shard *shard;
	int64_t ret;

	shard = head_lock(huge, TMEM_LOOK, &ret);
	if (!shard)
		return ret;
	page = head_find(huge, shard, head);
	if (!page) {
		ret = -TIDEPOOL_ENOENT;
	} else if (head->state == COMPLETE && shard->pool->persistent) {
		/* From the start, too, where the page is another one than the get began with. */
		head->next = cookie && from.generation == head->generation ? from.next : 0;
	} else if (head->state == COMPLETE) {
		head->state = TAKEN;
		head_set(page, *head);
	} else if (head->state != TAKEN || cookie != cookie_of(*head)) {
		ret = -TIDEPOOL_ENOENT;
	}
	tmem_shard_unlock(shard);
	return ret;
}

/* Get the parts of a step. Returns whether all were there. Context: no lock held. */
static bool parts_get(const struct huge *huge, struct head head, char *data)
{
	uint32_t n = head.next * STEP, end = n + STEP;
	int64_t ret = 0;

	for (; n < end && ret == 0; n++) {
		struct tmem_key key = part_key(huge, head.generation, n);

		ret = tmem_get_in(huge->client, huge->pool, &key,
				  data + (uint64_t)n * TMEM_PAGE_SIZE, TMEM_LOOK | TMEM_HUGE);
	}
	return ret == 0;
}

/* Part of a page is missing: it is gone, unless it is just another one now. */
static int64_t get_fail(const struct tmem_shard *shard, struct tmem_page *page, struct head head,
			struct head claimed)
{
	if (page && head.generation != claimed.generation)
		return -TIDEPOOL_EAGAIN;
	if (page && !shard->pool->persistent)
		tmem_page_drop(page); /* the other parts are evicted in their time */
	else if (page)
		head_kill(page, &head, DEAD_REPLACED);
	return -TIDEPOOL_ENOENT;
}

/* What the parts that were copied make of the get. Returns the step's result. */
static int64_t get_settle(const struct huge *huge, struct head claimed, bool whole)
{
	struct tmem_shard *shard;
	struct tmem_page *page;
	struct head head = {.state = DEAD};
	bool last = claimed.next + 1 == STEPS;
	int64_t ret;

	shard = head_lock(huge, TMEM_LOOK, &ret);
	if (!shard)
		return ret;
	page = head_find(huge, shard, &head);
	if (!whole)
		ret = get_fail(shard, page, head, claimed);
	else if (last && page && word_of(head) == word_of(claimed) && head.state == TAKEN)
		tmem_page_drop(page);
	if (whole && !last) {
		struct head next = claimed;

		next.next++;
		/* An ephemeral one's head may be gone: the next step finds that out. */
		if (page && word_of(head) == word_of(claimed) && head.state == TAKEN)
			head_set(page, next);
		ret = (int64_t)cookie_of(next);
	}
	tmem_shard_unlock(shard);
	return ret;
}

int64_t tmem_huge_get(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		      void *data, uint64_t cookie)
{
	const uint64_t costs = tmem_costs();
	struct huge huge;
	uint32_t steps = 0;
	int64_t ret;

	if (!huge_init(&huge, client, pool, key) || !cookie_is_valid(cookie))
		return -TIDEPOOL_EINVAL;
	do {
		struct head head = {.state = DEAD};

		ret = get_claim(&huge, cookie, &head);
		if (ret == 0)
			ret = get_settle(&huge, head, parts_get(&huge, head, data));
		cookie = (uint64_t)ret;
	} while (ret > 0 && has_time(++steps, costs, GET_COST));
	tmem_frame_trim();
	if (ret == 0)
		tmem_client_count(client, TMEM_GETS, 1);
	else if (ret == -TIDEPOOL_ENOENT)
		tmem_client_count(client, TMEM_MISSES, 1);
	return ret;
}

/*
 * One step of a flush. Returns as tmem_huge_flush(). @worked: set when the key held something, so
 * that the step dropped as much as a step does. Context: no lock held.
 */
static int64_t flush_step(const struct huge *huge, bool *worked)
{
	struct head head = {.state = DEAD};
	struct tmem_shard *shard;
	struct tmem_page *page;
	int64_t ret;

	shard = head_lock(huge, TMEM_CHANGE, &ret);
	if (!shard)
		return ret;
	page = head_find(huge, shard, &head);
	if (page)
		head_kill(page, &head, DEAD_FLUSHED);
	tmem_shard_unlock(shard);
	*worked = page;
	if (page)
		ret = dead_drop(huge, head);
	return ret == 1 ? head.state == DEAD_FLUSHED : ret;
}

int64_t tmem_huge_flush(struct tmem_client *client, uint64_t pool, const struct tmem_key *key)
{
	struct huge huge;
	bool worked;
	int64_t ret;

	if (!huge_init(&huge, client, pool, key))
		return -TIDEPOOL_EINVAL;
	ret = flush_step(&huge, &worked);
	tmem_frame_trim();
	return ret;
}

int64_t tmem_huge_flush_range(struct tmem_client *client, uint64_t pool, const uint64_t oid[3],
			      uint64_t first, uint64_t count)
{
	struct tmem_key key = {.oid = {oid[0], oid[1], oid[2]}, .index = first};
	bool worked = false;
	int64_t ret = 0;
	uint64_t n;

	if (count == 0 || first >> INDEX_BITS || count > (1ull << INDEX_BITS) - first)
		return -TIDEPOOL_EINVAL;
	if (count > LOOKUPS)
		ret = tmem_huge_object_is_gone(client, pool, oid);
	if (ret)
		return ret == 1 ? (int64_t)count : ret;
	for (n = 0; n < count && n < LOOKUPS && !worked; n++, key.index++) {
		struct huge huge;

		(void)huge_init(&huge, client, pool, &key);
		ret = flush_step(&huge, &worked);
		if (ret < 0)
			break;
	}
	tmem_frame_trim();
	return ret < 0 && (n == 0 || ret != -TIDEPOOL_EAGAIN) ? ret : (int64_t)n;
}

int64_t tmem_huge_claim(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
			enum tmem_access access, struct tmem_huge_claim *claim)
{
	struct head head = {.state = DEAD};
	struct tmem_page *page;
	struct tmem_shard *shard;
	struct huge huge;
	int64_t ret;

	if (!huge_init(&huge, client, pool, key))
		return -TIDEPOOL_EINVAL;
	shard = head_lock(&huge, access, &ret);
	if (!shard)
		return ret;
	page = head_find(&huge, shard, &head);
	if (!page || head.state != COMPLETE)
		ret = -TIDEPOOL_ENOENT;
	else if (access == TMEM_CHANGE && !shard->pool->persistent)
		tmem_page_renew(page);
	tmem_shard_unlock(shard);
	claim->word = word_of(head);
	claim->first = part_key(&huge, head.generation, 0);
	return ret;
}

void tmem_huge_miss(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		    const struct tmem_huge_claim *claim)
{
	struct head head = {.state = DEAD};
	struct tmem_shard *shard;
	struct tmem_page *page;
	struct huge huge;
	int64_t ret;

	(void)huge_init(&huge, client, pool, key);
	shard = head_lock(&huge, TMEM_LOOK, &ret);
	if (!shard)
		return;
	page = head_find(&huge, shard, &head);
	if (page && word_of(head) == claim->word)
		(void)get_fail(shard, page, head, head);
	tmem_shard_unlock(shard);
}

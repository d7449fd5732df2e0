/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/reserve.h"
#include "tmem/cell.h"
#include "tmem/compress.h"
#include "tmem/content.h"
#include "tmem/grain.h"
#include "tmem/index.h"
#include "tmem/order.h"
#include "tmem/share.h"
#include "tmem/store.h"

/*
 * Pages that are evicted at most for one frame or record. One is enough but where pages without a
 * frame are the oldest, and give no more than the cells of their records, or where another CPU
 * snatches what became free.
 */
#define RESERVE_TRIES 64u

/* A lane is the larger one if it has more by one part in so many. */
#define RIVAL_MARGIN 8u
#define RIVAL_LOOKS  8u /* evictions from one look at all lanes to the next */
/*
 * What making room for one frame or record may do beside. A page is compressed before one is
 * evicted, which would cost the guest a read from its disk; but each costs as much as several puts.
 */
#define COMPRESS_TRIES 2u
#define SQUEEZE_TRIES  4u
#define ALL_TRIES      (RESERVE_TRIES + COMPRESS_TRIES + SQUEEZE_TRIES)

struct effort {
	unsigned int compress, squeeze; /* how often still */
};

/* How often eviction goes round the lanes while other CPUs have those locked that have pages. */
#define EVICT_ROUNDS 256u

static uint64_t charged_of(const struct tmem_client *client)
{
	return __atomic_load_n(&client->charged, __ATOMIC_RELAXED);
}

/* Whether the client may not take another frame; a hint without its lock. */
static bool at_cap(const struct tmem_client *client)
{
	return charged_of(client) >= client->cap;
}

/* Whether it is above its cap, because pages of its were moved. A hint likewise. */
static bool above_cap(const struct tmem_client *client)
{
	return charged_of(client) > client->cap;
}

/*
 * The next page to be evicted, and the one after it, are brought near one eviction ahead: its
 * record is in memory that nobody has looked at for long, and so is its place in the index, which
 * is known once the record is here.
 */
static void evict_ahead(struct tmem_lane *lane)
{
	const struct tmem_page *page = tmem_order_next(lane, &lane->ahead);

	if (!page)
		return;
	lane->ahead_hash = tmem_index_hash_page(page);
	tmem_index_expect(tmem_page_shard(page), lane->ahead_hash);
	tmem_content_expect(page);
	tmem_cell_expect(page->newer);
	tmem_cell_expect(page->prev);
	tmem_cell_expect(page->object);
}

/* Make a blob that is left a frame, if there is one. Context: client lock held. */
static void blob_settle(struct tmem_client *client, struct tmem_remains *remains)
{
	if (!remains->blob)
		return;
	remains->frame = tmem_grain_remove(client, remains->blob);
	remains->blob = 0;
}

/*
 * Evict the next page of a lane. Returns whether there was one, and what it left; no blob, which
 * has to go while the page's lane is locked.
 * Context: lane lock held. @client_held: the client's, too.
 */
static bool lane_evict(struct tmem_client *client, bool client_held, struct tmem_lane *lane,
		       struct tmem_remains *remains)
{
	uint32_t number;
	struct tmem_page *page = tmem_order_next(lane, &number);

	if (!page)
		return false;
	tmem_page_unlink(page, number,
			 lane->ahead == number ? lane->ahead_hash : tmem_index_hash_page(page),
			 true, remains);
	if (remains->blob) {
		if (!client_held)
			tmem_lock_acquire(&client->lock);
		blob_settle(client, remains);
		if (!client_held)
			tmem_lock_release(&client->lock);
	}
	tmem_lane_count(lane, TMEM_EVICTED, 1);
	evict_ahead(lane);
	return true;
}

/*
 * Evict a page of a client, from the lane that is held if that has one.
 *
 * The order of locks allows only to try the other lanes'. One that has pages and is locked is
 * waited for, but not for ever: whoever has it may be waiting here for ours.
 */
static bool page_evict(struct tmem_client *client, bool client_held, const struct tmem_lane *held,
		       unsigned int first, unsigned int rounds, struct tmem_remains *remains)
{
	unsigned int i;

	for (; rounds > 0; rounds--) {
		bool busy = false;

		for (i = 0; i < TMEM_LANES; i++) {
			struct tmem_lane *lane = &client->lanes[(first + i) % TMEM_LANES];
			bool done;

			if (!tmem_order_count(lane))
				continue;
			if (lane != held && !tmem_lock_try(&lane->lock)) {
				busy = true;
				continue;
			}
			done = lane_evict(client, client_held, lane, remains);
			if (lane != held)
				tmem_lock_release(&lane->lock);
			if (done)
				return true;
		}
		if (!busy)
			return false;
		tmem_lock_relax();
	}
	return false;
}

static uint32_t lane_largest(const struct tmem_client *client)
{
	uint32_t i, largest = 0;

	for (i = 1; i < TMEM_LANES; i++)
		if (tmem_order_count(&client->lanes[i]) > tmem_order_count(&client->lanes[largest]))
			largest = i;
	return largest;
}

/*
 * Evict a page of the client's own, from the lane that is held: its pages are a fair sample. But
 * lanes should be of like size, or a page would have to go because of its key; so the largest one
 * gives if it has clearly more. It is looked for now and then.
 */
static bool lanes_evict(struct tmem_client *client, struct tmem_lane *held,
			struct tmem_remains *remains)
{
	uint32_t count = tmem_order_count(held);
	struct tmem_lane *rival;

	if (held->evictions++ % RIVAL_LOOKS == 0)
		held->rival = lane_largest(client);
	rival = &client->lanes[held->rival];
	if (tmem_order_count(rival) > count + count / RIVAL_MARGIN && tmem_lock_try(&rival->lock)) {
		bool done = lane_evict(client, false, rival, remains);

		tmem_lock_release(&rival->lock);
		if (done)
			return true;
	}
	return page_evict(client, false, held, (unsigned int)(held - client->lanes), EVICT_ROUNDS,
			  remains);
}

/* Context: client lock held. */
static void remains_free(struct tmem_client *client, struct tmem_remains *remains)
{
	blob_settle(client, remains);
	while (remains->nr_cells > 0)
		tmem_cell_free(client, remains->cells[--remains->nr_cells]);
	if (remains->frame)
		tmem_client_frame_free(client, remains->frame);
	if (remains->held)
		tmem_client_uncharge(client);
	remains->frame = NULL;
	remains->held = false;
}

void tmem_remains_free(struct tmem_client *client, struct tmem_remains *remains)
{
	tmem_lock_acquire(&client->lock);
	remains_free(client, remains);
	tmem_lock_release(&client->lock);
}

void tmem_cells_free(struct tmem_client *client, const uint32_t *numbers, unsigned int count)
{
	unsigned int i;

	tmem_lock_acquire(&client->lock);
	for (i = 0; i < count; i++)
		tmem_cell_free(client, numbers[i]);
	tmem_lock_release(&client->lock);
}

void tmem_spares_free(struct tmem_client *client, struct tmem_lane *lane)
{
	tmem_cells_free(client, lane->spares, lane->nr_spares);
	lane->nr_spares = 0;
}

/*
 * Evict a page of the client's own. Returns whether there was one.
 * @frame: set to its frame, still charged, so that no other client can snatch it from the one who
 *	   paid for it with a page; NULL when it had none
 */
static bool own_evict(struct tmem_client *client, struct tmem_shard *held, void **frame)
{
	struct tmem_lane *lane = held ? held->lane : NULL;
	struct tmem_remains remains;

	if (lane ? !lanes_evict(client, lane, &remains)
		 : !page_evict(client, false, NULL, 0, EVICT_ROUNDS, &remains))
		return false;
	*frame = remains.frame;
	remains.frame = NULL;
	/* Its cells serve what it was evicted for. */
	while (lane && lane->nr_spares < TMEM_SPARES && remains.nr_cells > 0)
		lane->spares[lane->nr_spares++] = remains.cells[--remains.nr_cells];
	if (remains.nr_cells > 0 || remains.held)
		tmem_remains_free(client, &remains);
	return true;
}

/*
 * Drop a page of another client. Its frame becomes free, and is not handed over: what the other
 * has been promised is settled by that, and whoever else takes the frame is as entitled to it.
 */
static bool other_evict(struct tmem_client *client, bool insists)
{
	struct tmem_client *victim = tmem_share_victim(client, insists);
	struct tmem_remains remains;
	bool evicted;

	if (!victim)
		return false;
	evicted = page_evict(victim, true, NULL, victim->hand++, 1, &remains);
	if (evicted)
		remains_free(victim, &remains);
	tmem_lock_release(&victim->lock);
	return evicted;
}

/* Evict the page that has to go for @client; @frame as own_evict() does. */
static bool any_evict(struct tmem_client *client, struct tmem_shard *held, void **frame)
{
	bool insists = !held || held->pool->persistent;

	if (at_cap(client))
		return own_evict(client, held, frame);
	return other_evict(client, false) || own_evict(client, held, frame) ||
	       (insists && other_evict(client, true));
}

/*
 * Make room for @client: by compressing a page of its own; at its cap, by evicting one; when the
 * host has no more memory, by the page of whoever is furthest above its share. Where the pages are
 * compressed already, one that goes leaves no frame but room among the others, which are moved
 * together then. Returns whether anything was done, and @frame as own_evict() does.
 */
static bool page_reclaim(struct tmem_client *client, struct tmem_shard *held, struct effort *effort,
			 void **frame)
{
	struct tmem_lane *lane = held ? held->lane : NULL;
	bool evicted;

	*frame = NULL;
	if (effort->compress > 0 && tmem_compress_one(client, lane, frame)) {
		effort->compress--;
		return true;
	}
	evicted = any_evict(client, held, frame);
	if (!*frame && effort->squeeze > 0 && tmem_compress_squeeze(client, lane, frame)) {
		effort->squeeze--;
		return true;
	}
	return evicted;
}

static void *frame_alloc(struct tmem_client *client, enum tmem_frame_use use)
{
	void *frame;

	if (at_cap(client))
		return NULL;
	tmem_lock_acquire(&client->lock);
	frame = tmem_client_frame_alloc(client, use);
	tmem_lock_release(&client->lock);
	return frame;
}

/* A page gets what is kept for metadata rather than that it is refused. */
static void *kept_alloc(struct tmem_client *client)
{
	void *frame;

	tmem_lock_acquire(&client->lock);
	frame = at_cap(client) ? NULL : tmem_client_frame_lend(client, client);
	tmem_lock_release(&client->lock);
	return frame;
}

static void frame_free(struct tmem_client *client, void *frame)
{
	tmem_lock_acquire(&client->lock);
	tmem_client_frame_free(client, frame);
	tmem_lock_release(&client->lock);
}

unsigned int tmem_client_evict(struct tmem_client *client, unsigned int count)
{
	unsigned int evicted;
	void *frame;

	for (evicted = 0; evicted < count && own_evict(client, NULL, &frame); evicted++)
		if (frame)
			frame_free(client, frame);
	return evicted;
}

void *tmem_frame_reserve(struct tmem_client *client, enum tmem_frame_use use,
			 struct tmem_shard *held)
{
	struct effort effort = {.compress = COMPRESS_TRIES, .squeeze = SQUEEZE_TRIES};
	bool owes = above_cap(client);
	unsigned int tries;

	for (tries = 0; tries < ALL_TRIES; tries++) {
		void *frame = frame_alloc(client, use);

		if (frame)
			return frame;
		if (!page_reclaim(client, held, &effort, &frame))
			return use == TMEM_FRAME_PAGE ? kept_alloc(client) : NULL;
		if (!frame)
			continue;
		/* What the client was lent it gives back one by one, at the first that it gets. */
		if (!owes && use == TMEM_FRAME_PAGE && tmem_frame_is_good(frame))
			return frame;
		owes = false;
		frame_free(client, frame);
	}
	return NULL;
}

uint32_t tmem_cell_reserve(struct tmem_shard *held)
{
	struct tmem_client *client = held->pool->client;
	struct tmem_lane *lane = held->lane;
	struct effort effort = {.compress = COMPRESS_TRIES, .squeeze = SQUEEZE_TRIES};
	unsigned int tries;

	for (tries = 0; tries < ALL_TRIES; tries++) {
		uint32_t number;
		void *frame;

		if (lane->nr_spares > 0)
			return lane->spares[--lane->nr_spares];
		tmem_lock_acquire(&client->lock);
		number = tmem_cell_alloc(client);
		tmem_lock_release(&client->lock);
		if (number)
			return number;
		if (!page_reclaim(client, held, &effort, &frame))
			return 0;
		if (frame)
			frame_free(client, frame);
	}
	return 0;
}

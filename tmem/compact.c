/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/compact.h"
#include "tmem/cell.h"
#include "tmem/client.h"
#include "tmem/compress.h"
#include "tmem/content.h"
#include "tmem/frame.h"
#include "tmem/index.h"
#include "tmem/page.h"
#include "tmem/reserve.h"
#include "tmem/scratch.h"
#include "tmem/store.h"

#define BATCH	 4u    /* blocks that are emptied together, unless that fails */
#define WALKS	 3u    /* for a batch, before it is given up */
#define ATTEMPTS 4u    /* batches in a row of which not one block came */
#define LOOKS	 256u  /* records a step */
#define MOVES	 8u    /* pages a step, */
#define INSISTS	 4u    /* each counted as so many where room may have to be made for it */
#define SHARDS	 512u  /* that a step passes over */
#define PATIENCE 1024u /* steps of idle CPUs from the last step here to giving up */

/* Where the walk is. A client or a bucket that comes or goes meanwhile is met by the next walk. */
struct place {
	uint32_t client; /* its number in the list */
	uint32_t pool, shard;
	uint64_t bucket;
};

static struct {
	struct tmem_lock lock; /* protects all below; only tried, with no other lock held */
	struct place at;
	unsigned int walks, failed;
	unsigned int to_seal; /* blocks that are still to be chosen for the batch */
	unsigned int idle;    /* steps of idle CPUs since the last one here; atomic */
} compact;

/* ---- a page ---------------------------------------------------------------------------------- */

/* What a step may still do. */
struct budget {
	unsigned int looks, moves;
};

static void spend(unsigned int *left, unsigned int n)
{
	*left -= n < *left ? n : *left;
}

/*
 * Move a blob. @spare: as tmem_grain_add()'s; a frame that is left there is given back.
 * Context: client lock held.
 */
static bool blob_move(struct tmem_client *client, struct tmem_page *page, void **spare)
{
	void *freed = NULL;
	bool done = tmem_compress_move(client, page, tmem_cell_number(page), spare, &freed);

	if (freed)
		tmem_client_frame_free(client, freed);
	if (spare && *spare)
		tmem_client_frame_free(client, *spare);
	return done;
}

/*
 * Move a page for which no memory has to be found: a blob, into the room that others leave.
 * @frame: else set to a frame that the client is lent, or to NULL
 */
static bool page_fit(struct tmem_client *client, struct tmem_page *page, void **frame)
{
	bool done;

	tmem_lock_acquire(&client->lock);
	done = tmem_content_blob(page) && blob_move(client, page, NULL);
	*frame = done ? NULL : tmem_client_frame_lend(client, tmem_content_at(page));
	tmem_lock_release(&client->lock);
	return done;
}

/* Move a page with a frame that is charged to its client. */
static bool page_move_to(struct tmem_client *client, struct tmem_page *page, void *frame)
{
	bool done;

	if (!tmem_content_blob(page)) {
		tmem_content_move(page, frame);
		return true;
	}
	tmem_lock_acquire(&client->lock);
	done = blob_move(client, page, &frame);
	tmem_lock_release(&client->lock);
	return done;
}

static bool page_move(struct tmem_shard *shard, struct tmem_page *page, struct budget *budget)
{
	struct tmem_client *client = shard->pool->client;
	void *frame;

	spend(&budget->moves, 1);
	if (page_fit(client, page, &frame))
		return true;
	if (!frame && shard->pool->persistent) {
		/* Room is made for it as by a put. That may compress it. */
		spend(&budget->moves, INSISTS - 1);
		frame = tmem_frame_reserve(client, TMEM_FRAME_PAGE, shard);
	}
	return frame && page_move_to(client, page, frame);
}

/* Context of this and the next three: the lane's lock held. */
static void page_empty(struct tmem_shard *shard, struct tmem_page *page, struct budget *budget)
{
	spend(&budget->looks, 1);
	if (!page->object || !tmem_content_is_sealed(page))
		return;
	if (!page_move(shard, page, budget) && !shard->pool->persistent) {
		tmem_page_drop(page);
		tmem_lane_count(shard->lane, TMEM_EVICTED, 1);
	}
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* Nobody has looked at these records for long: they come all at once, and then what they name. */
static void bucket_expect(const struct tmem_shard *shard, uint64_t bucket)
{
	uint32_t number;
	unsigned int n;

	for (n = 0; (number = tmem_index_nth(shard, bucket, n)); n++)
		tmem_cell_expect(number);
	for (n = 0; (number = tmem_index_nth(shard, bucket, n)); n++) {
		const struct tmem_page *page = tmem_cell_at(number);

		if (page->object)
			tmem_content_expect(page);
	}
}

static void bucket_walk(struct tmem_shard *shard, uint64_t bucket, struct budget *budget)
{
	uint32_t number;
	unsigned int n;

	bucket_expect(shard, bucket);
	for (n = 0; (number = tmem_index_nth(shard, bucket, n)); n++)
		page_empty(shard, tmem_cell_at(number), budget);
}

/* Go on in a shard. Returns whether its end was come to. */
static bool shard_walk(struct tmem_shard *shard, struct budget *budget)
{
	while (compact.at.bucket < shard->buckets) {
		if (budget->looks == 0 || budget->moves == 0)
			return false;
		bucket_walk(shard, compact.at.bucket++, budget);
		spend(&budget->looks, 1);
	}
	return true;
}

static void shard_pass(void)
{
	compact.at.bucket = 0;
	if (++compact.at.shard < TMEM_SHARDS)
		return;
	compact.at.shard = 0;
	compact.at.pool++;
}

/* Context: tmem_store.lock held. */
static struct tmem_client *client_at(uint32_t n)
{
	struct tmem_link *link = tmem_store.clients.first;

	for (; link && n > 0; n--)
		link = link->next;
	return link ? tmem_list_entry(link, struct tmem_client, link) : NULL;
}

enum found {
	FOUND,
	BUSY, /* some lock is: come again */
	LATER,
	END, /* of the walk */
};

/*
 * Lock the lane of the shard that the walk is at or comes to, in a pool of a client.
 * Context: client lock held: it keeps the frames of pools that it names.
 */
static enum found shard_lock(struct tmem_client *client, unsigned int *passes,
			     struct tmem_shard **shard)
{
	for (; compact.at.pool < TIDEPOOL_MAX_POOLS; shard_pass()) {
		struct tmem_pool *pool = __atomic_load_n(&client->pools[compact.at.pool],
							 __ATOMIC_ACQUIRE);

		if (!pool) {
			compact.at.shard = TMEM_SHARDS - 1;
			continue;
		}
		if ((*passes)-- == 0)
			return LATER;
		*shard = &pool->shards[compact.at.shard];
		if (!tmem_lock_try(&(*shard)->lane->lock))
			return BUSY;
		if ((*shard)->open && (*shard)->entries > 0)
			return FOUND;
		tmem_lock_release(&(*shard)->lane->lock);
	}
	return END;
}

/* The same for all clients. A client whose open pool has a lane locked stays. */
static enum found walk_lock(struct tmem_shard **shard)
{
	unsigned int passes = SHARDS;
	enum found found = END;

	tmem_lock_acquire(&tmem_store.lock);
	while (found == END) {
		struct tmem_client *client = client_at(compact.at.client);

		if (!client)
			break;
		found = BUSY;
		if (tmem_lock_try(&client->lock)) {
			found = shard_lock(client, &passes, shard);
			tmem_lock_release(&client->lock);
		}
		if (found == END)
			compact.at = (struct place){.client = compact.at.client + 1};
	}
	tmem_lock_release(&tmem_store.lock);
	return found;
}

/* Returns whether the walk goes on. */
static bool walk_step(void)
{
	struct budget budget = {.looks = LOOKS, .moves = MOVES};
	struct tmem_shard *shard;
	enum found found = walk_lock(&shard);

	if (found != FOUND)
		return found != END;
	if (shard_walk(shard, &budget))
		shard_pass();
	tmem_shard_unlock(shard);
	return true;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* What CPUs keep for their next puts may be in a sealed block. */
static void walk_start(void)
{
	compact.at = (struct place){.client = 0};
	tmem_scratch_drain();
}

/*
 * Seal a block of the batch, which is one step, for the emptiest is looked for. Returns whether any
 * is sealed.
 */
static bool batch_seal(void)
{
	bool sealed = tmem_frame_seal();

	compact.to_seal = sealed ? compact.to_seal - 1 : 0;
	if (compact.to_seal == 0)
		walk_start();
	return tmem_frame_sealed() > 0;
}

static bool batch_start(uint64_t want)
{
	unsigned int batch = compact.failed > 0 ? 1 : BATCH;

	compact.to_seal = want < batch ? (unsigned int)want : batch;
	compact.walks = 0;
	return batch_seal();
}

static void give_up(void)
{
	tmem_frame_unseal();
	compact.failed = 0;
	compact.to_seal = 0;
}

/* One step, as tmem_relinquish() returns it. */
static int64_t step(uint64_t want)
{
	if (tmem_frame_hand_back()) {
		compact.failed = 0;
		return 1;
	}
	if (tmem_frame_sealed() == 0)
		return batch_start(want) ? -TIDEPOOL_EAGAIN : -TIDEPOOL_ENOMEM;
	if (compact.to_seal > 0) {
		(void)batch_seal();
		return -TIDEPOOL_EAGAIN;
	}
	if (walk_step())
		return -TIDEPOOL_EAGAIN;
	if (++compact.walks < WALKS) {
		walk_start();
		return -TIDEPOOL_EAGAIN;
	}
	tmem_frame_unseal();
	if (++compact.failed < ATTEMPTS)
		return -TIDEPOOL_EAGAIN;
	give_up();
	return -TIDEPOOL_ENOMEM;
}

int64_t tmem_relinquish(uint64_t want)
{
	int64_t ret = 0;

	if (!tmem_lock_try(&compact.lock))
		return -TIDEPOOL_EAGAIN;
	__atomic_store_n(&compact.idle, 0, __ATOMIC_RELAXED);
	if (want > 0)
		ret = step(want);
	else
		give_up();
	tmem_lock_release(&compact.lock);
	return ret;
}

void tmem_compact_idle(void)
{
	if (tmem_frame_sealed() == 0 ||
	    __atomic_add_fetch(&compact.idle, 1, __ATOMIC_RELAXED) < PATIENCE)
		return;
	(void)tmem_relinquish(0);
}

void tmem_compact_init(void)
{
	compact.at = (struct place){.client = 0};
	compact.walks = 0;
	compact.failed = 0;
	compact.to_seal = 0;
	compact.idle = 0;
}

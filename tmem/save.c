/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Saving a client while its guest runs: first the pools, then every page of the persistent ones,
 * then, once the caller says so, what has gone meanwhile (tmem/log.h). The format: tmem/stream.h.
 */
#include <tidepool/abi.h>

#include "tmem/client.h"
#include "tmem/content.h"
#include "tmem/frame.h"
#include "tmem/log.h"
#include "tmem/pool.h"
#include "tmem/stream.h"

#define SHARDS_A_STEP 64u /* looked at for a page, at most */

/* Where the caller's buffer stands. */
struct sink {
	struct tmem_save *save;
	char *at;
	uint64_t left;
};

/* Append a record, if there is room; its payload, if it has one, is in save->page. */
static bool emit(struct sink *sink, struct tmem_record *record)
{
	struct tmem_save *save = sink->save;

	record->length = tmem_stream_length(record->kind);
	if (record->length > sink->left)
		return false;
	record->number = save->records++;
	record->checksum = save->last = tmem_stream_checksum(record, save->page, save->last);
	__builtin_memcpy(sink->at, record, sizeof(*record));
	__builtin_memcpy(sink->at + sizeof(*record), save->page, record->length - sizeof(*record));
	sink->at += record->length;
	sink->left -= record->length;
	return true;
}

static bool is_listed(const struct tmem_save *save, uint64_t id)
{
	return save->pools[id / 64] >> id % 64 & 1;
}

int tmem_save_begin(struct tmem_save *save, struct tmem_client *client, void *page)
{
	unsigned int id;
	bool busy;

	tmem_lock_acquire(&client->lock);
	busy = client->log.open || client->log.gone;
	if (!busy) {
		*save = (struct tmem_save){.client = client, .page = page};
		/* Frozen with the lock held: a pool is made before this, or not at all. */
		tmem_client_freeze(client, TMEM_FREEZE_SAVE);
		__atomic_store_n(&client->log.open, true, __ATOMIC_RELEASE);
		for (id = 0; id < TIDEPOOL_MAX_POOLS; id++)
			if (client->pools[id] && client->pools[id]->state == TMEM_POOL_OPEN) {
				save->pools[id / 64] |= 1ull << id % 64;
				save->nr_pools++;
			}
	}
	tmem_lock_release(&client->lock);
	return busy ? -TIDEPOOL_EBUSY : 0;
}

/* ---- the phases: each returns false where the buffer or the step ends
 * ---------------------------- */

static bool begin_write(struct sink *sink)
{
	struct tmem_save *save = sink->save;
	struct tmem_record record = {
		.kind = TMEM_RECORD_BEGIN,
		.pool = __atomic_load_n(&save->client->generation, __ATOMIC_RELAXED),
		.words = {TMEM_STREAM_MAGIC, TMEM_STREAM_VERSION, save->nr_pools,
			  tmem_client_held(save->client)},
	};

	return emit(sink, &record);
}

static bool pool_write(struct sink *sink, uint64_t id)
{
	const struct tmem_pool *pool = sink->save->client->pools[id];
	struct tmem_record record = {
		.kind = TMEM_RECORD_POOL,
		.pool = id,
		.words = {pool->flags, pool->uuid[0], pool->uuid[1]},
	};

	return emit(sink, &record);
}

static bool pools_write(struct sink *sink)
{
	struct tmem_save *save = sink->save;

	for (; save->pool < TIDEPOOL_MAX_POOLS; save->pool++)
		if (is_listed(save, save->pool) && !pool_write(sink, save->pool))
			return false;
	save->pool = 0;
	return true;
}

/* Append the page under the cursor, if there is room. Context: its shard's lock held. */
static bool page_write(struct sink *sink, const struct tmem_page *page)
{
	struct tmem_save *save = sink->save;
	const uint64_t *oid = page->oid;
	struct tmem_record record = {
		.kind = TMEM_RECORD_PAGE,
		.pool = save->pool,
		.words = {oid[0], oid[1], oid[2], page->index},
	};

	/* Before it is known whether it is filled: most are not. */
	if (sink->left < tmem_stream_length(TMEM_RECORD_PAGE))
		return false;
	tmem_content_read(page, save->page);
	if (tmem_content_scan(save->page))
		record.kind = TMEM_RECORD_FILLED;
	save->pages++;
	return emit(sink, &record);
}

/* Go on in the shard of the cursor. Returns whether it has no more pages. */
static bool shard_write(struct sink *sink, struct tmem_shard *shard, unsigned int *budget)
{
	struct tmem_save *save = sink->save;
	struct tmem_log *log = &save->client->log;
	struct tmem_page *page;
	bool done;

	tmem_lock_acquire(&shard->lane->lock);
	page = save->inside ? log->cursor : tmem_log_first(shard);
	save->inside = true;
	while (page && *budget > 0 && page_write(sink, page)) {
		page = tmem_log_next(page);
		--*budget;
	}
	done = !page;
	save->inside = !done;
	__atomic_store_n(&log->cursor, page, __ATOMIC_RELAXED);
	tmem_shard_unlock(shard);
	return done;
}

/* Every page of every persistent pool, shard by shard. A destroyed pool is just empty. */
static bool pages_write(struct sink *sink)
{
	struct tmem_save *save = sink->save;
	unsigned int budget = TMEM_STEP, shards = SHARDS_A_STEP;

	for (; save->pool < TIDEPOOL_MAX_POOLS; save->pool++, save->shard = 0) {
		struct tmem_pool *pool = save->client->pools[save->pool];

		if (!is_listed(save, save->pool) || !pool->persistent)
			continue;
		for (; save->shard < TMEM_SHARDS; save->shard++)
			if (shards-- == 0 ||
			    !shard_write(sink, &pool->shards[save->shard], &budget))
				return false;
	}
	return true;
}

/* The log, whose entries are freed as they are written. */
static bool gone_write(struct sink *sink)
{
	struct tmem_save *save = sink->save;
	struct tmem_client *client = save->client;
	struct tmem_gone *gone = NULL;
	unsigned int budget = TMEM_STEP;

	tmem_lock_acquire(&client->lock);
	while (sink->left >= sizeof(struct tmem_record) && budget-- > 0) {
		struct tmem_record record = {.kind = TMEM_RECORD_GONE};

		gone = tmem_log_take(client);
		if (!gone)
			break;
		record.pool = gone->pool;
		record.words[0] = gone->key.oid[0];
		record.words[1] = gone->key.oid[1];
		record.words[2] = gone->key.oid[2];
		record.words[3] = gone->key.index;
		tmem_cell_free(client, tmem_cell_number(gone));
		save->gone++;
		(void)emit(sink, &record); /* there is room */
	}
	gone = client->log.gone;
	tmem_lock_release(&client->lock);
	return !gone;
}

/* Whether a pool that was listed is there still. */
static bool pool_is_open(struct tmem_client *client, uint64_t id)
{
	bool open;

	tmem_lock_acquire(&client->lock);
	open = client->pools[id]->state == TMEM_POOL_OPEN;
	tmem_lock_release(&client->lock);
	return open;
}

static bool closed_write(struct sink *sink)
{
	struct tmem_save *save = sink->save;
	struct tmem_record record = {.kind = TMEM_RECORD_CLOSED};

	for (; save->pool < TIDEPOOL_MAX_POOLS; save->pool++) {
		if (!is_listed(save, save->pool) || pool_is_open(save->client, save->pool))
			continue;
		record.pool = save->pool;
		if (!emit(sink, &record))
			return false;
		save->closed++;
	}
	return true;
}

static bool end_write(struct sink *sink)
{
	struct tmem_save *save = sink->save;
	struct tmem_record record = {
		.kind = TMEM_RECORD_END,
		.words = {save->pages, save->gone, save->closed, save->records + 1},
	};

	return emit(sink, &record);
}

/* ---- the calls
 * ----------------------------------------------------------------------------------- */

/* Go on with the phase. Returns whether it is complete. */
static bool phase_write(struct sink *sink)
{
	switch (sink->save->phase) {
	case TMEM_SAVE_BEGIN:
		return begin_write(sink);
	case TMEM_SAVE_POOLS:
		return pools_write(sink);
	case TMEM_SAVE_PAGES:
		return pages_write(sink);
	case TMEM_SAVE_GONE:
		return gone_write(sink);
	case TMEM_SAVE_CLOSED:
		return closed_write(sink);
	default: /* TMEM_SAVE_LAST */
		return end_write(sink);
	}
}

static bool is_resting(const struct tmem_save *save)
{
	return save->phase == TMEM_SAVE_LIVE || save->phase == TMEM_SAVE_DONE;
}

int64_t tmem_save_read(struct tmem_save *save, void *buffer, uint64_t size)
{
	struct sink sink = {.save = save, .at = buffer, .left = size};

	if (size < TMEM_SAVE_BUFFER_MIN)
		return -TIDEPOOL_EINVAL;
	/* Pages and log end a step each; what comes before and behind is short. */
	while (!is_resting(save) && phase_write(&sink)) {
		save->phase++;
		save->pool = 0;
	}
	tmem_frame_trim();
	if (sink.left == size && !is_resting(save))
		return -TIDEPOOL_EAGAIN;
	return (int64_t)(size - sink.left);
}

int tmem_save_finish(struct tmem_save *save)
{
	if (save->phase != TMEM_SAVE_LIVE)
		return -TIDEPOOL_EAGAIN;
	tmem_lock_acquire(&save->client->lock);
	__atomic_store_n(&save->client->log.open, false, __ATOMIC_RELEASE);
	tmem_lock_release(&save->client->lock);
	save->phase = TMEM_SAVE_GONE;
	return 0;
}

int tmem_save_end(struct tmem_save *save)
{
	struct tmem_client *client = save->client;

	tmem_lock_acquire(&client->lock);
	__atomic_store_n(&client->log.open, false, __ATOMIC_RELEASE);
	tmem_lock_release(&client->lock);
	__atomic_store_n(&client->log.cursor, NULL, __ATOMIC_RELAXED);
	if (!tmem_log_drop(client))
		return -TIDEPOOL_EAGAIN;
	tmem_client_thaw(client, TMEM_FREEZE_SAVE);
	tmem_frame_trim();
	return 0;
}

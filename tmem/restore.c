/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Building a client's pools from a stream (tmem/stream.h), which anybody may have written: each
 * record is copied before it is looked at, and believed when all of it is as it must be. What the
 * pages take is charged to the client as if its guest had put them.
 */
#include <tidepool/abi.h>

#include "tmem/client.h"
#include "tmem/frame.h"
#include "tmem/ops.h"
#include "tmem/pool.h"
#include "tmem/stream.h"

#define ACCESS (TMEM_CHANGE | TMEM_ANY_ORDER | TMEM_THAWED)

static const char *const reasons[] = {
	[TMEM_RESTORE_GOOD] = "no fault",
	[TMEM_RESTORE_MAGIC] = "this is no stream of pages",
	[TMEM_RESTORE_VERSION] = "a version of the stream that is not known",
	[TMEM_RESTORE_KIND] = "a record of a kind that is not known, or not expected here",
	[TMEM_RESTORE_LENGTH] = "a record of a length that its kind has not",
	[TMEM_RESTORE_NUMBER] = "a record that is missing, repeated or out of order",
	[TMEM_RESTORE_CHECKSUM] = "a wrong checksum",
	[TMEM_RESTORE_POOL] = "a pool that cannot be made, or that there is not",
	[TMEM_RESTORE_PAGE] = "a page that cannot be, or is there already",
	[TMEM_RESTORE_COUNT] = "other counts at the end than there were records",
	[TMEM_RESTORE_TRUNCATED] = "the end is missing",
	[TMEM_RESTORE_BEYOND] = "more behind the end",
	[TMEM_RESTORE_MEMORY] = "no room for all pages",
};

const char *tmem_restore_reason(const struct tmem_restore *restore)
{
	return reasons[restore->fault];
}

int tmem_restore_begin(struct tmem_restore *restore, struct tmem_client *client, void *page)
{
	bool busy;

	*restore = (struct tmem_restore){.client = client, .page = page};
	tmem_lock_acquire(&client->lock);
	busy = client->open_pools > 0 || client->log.open;
	if (!busy)
		tmem_client_freeze(client, TMEM_FREEZE_RESTORE);
	tmem_lock_release(&client->lock);
	return busy ? -TIDEPOOL_EBUSY : 0;
}

static bool is_listed(const struct tmem_restore *restore, uint64_t id)
{
	return id < TIDEPOOL_MAX_POOLS && restore->pools[id / 64] >> id % 64 & 1;
}

/* ---- one function a kind: each returns what is wrong
 * ------------------------------------------------ */

static enum tmem_restore_fault begin_take(struct tmem_restore *restore,
					  const struct tmem_record *record)
{
	if (record->words[1] != TMEM_STREAM_VERSION)
		return TMEM_RESTORE_VERSION;
	restore->nr_pools = record->words[2];
	__atomic_store_n(&restore->client->generation, (uint32_t)record->pool, __ATOMIC_RELAXED);
	return TMEM_RESTORE_GOOD;
}

static enum tmem_restore_fault pool_take(struct tmem_restore *restore,
					 const struct tmem_record *record)
{
	uint64_t id = record->pool;
	int64_t ret;

	if (id >= TIDEPOOL_MAX_POOLS || is_listed(restore, id) || restore->nr_pools == 0 ||
	    record->words[0] & TIDEPOOL_POOL_SHARED)
		return TMEM_RESTORE_POOL;
	ret = tmem_pool_create_at(restore->client, id, record->words[0], &record->words[1]);
	if (ret == -TIDEPOOL_ENOMEM)
		return TMEM_RESTORE_MEMORY;
	if (ret < 0)
		return TMEM_RESTORE_POOL;
	restore->pools[id / 64] |= 1ull << id % 64;
	restore->nr_pools--;
	return TMEM_RESTORE_GOOD;
}

static struct tmem_key key_of(const struct tmem_record *record)
{
	return (struct tmem_key){
		.oid = {record->words[0], record->words[1], record->words[2]},
		.index = record->words[3],
	};
}

static enum tmem_restore_fault page_take(struct tmem_restore *restore,
					 const struct tmem_record *record)
{
	struct tmem_key key = key_of(record);
	uint64_t *word = restore->page;
	int64_t ret;
	unsigned int i;

	if (!is_listed(restore, record->pool) || !restore->client->pools[record->pool]->persistent)
		return TMEM_RESTORE_POOL;
	if (record->kind == TMEM_RECORD_FILLED)
		for (i = 1; i < TMEM_PAGE_SIZE / sizeof(*word); i++)
			word[i] = word[0];
	ret = tmem_put_in(restore->client, record->pool, &key, restore->page, NULL,
			  ACCESS | TMEM_NEW_ONLY);
	if (ret == -TIDEPOOL_ENOMEM)
		return TMEM_RESTORE_MEMORY;
	if (ret < 0)
		return TMEM_RESTORE_PAGE;
	restore->pages++;
	return TMEM_RESTORE_GOOD;
}

static enum tmem_restore_fault gone_take(struct tmem_restore *restore,
					 const struct tmem_record *record)
{
	struct tmem_key key = key_of(record);

	if (!is_listed(restore, record->pool) ||
	    tmem_flush_in(restore->client, record->pool, &key, ACCESS) < 0)
		return TMEM_RESTORE_POOL;
	restore->gone++;
	return TMEM_RESTORE_GOOD;
}

/* Left for the end, and for steps: a pool may hold any number of pages. */
static enum tmem_restore_fault closed_take(struct tmem_restore *restore,
					   const struct tmem_record *record)
{
	if (!is_listed(restore, record->pool))
		return TMEM_RESTORE_POOL;
	restore->pools[record->pool / 64] &= ~(1ull << record->pool % 64);
	restore->closed[record->pool / 64] |= 1ull << record->pool % 64;
	restore->nr_closed++;
	return TMEM_RESTORE_GOOD;
}

static enum tmem_restore_fault end_take(struct tmem_restore *restore,
					const struct tmem_record *record)
{
	if (record->words[0] != restore->pages || record->words[1] != restore->gone ||
	    record->words[2] != restore->nr_closed || record->words[3] != restore->records)
		return TMEM_RESTORE_COUNT;
	restore->complete = true;
	return TMEM_RESTORE_GOOD;
}

/* Whether a record of that kind may come now: never backwards, all pools before the first page. */
static bool is_expected(const struct tmem_restore *restore, uint32_t kind)
{
	uint32_t last = restore->kind;

	if (kind == TMEM_RECORD_PAGE || kind == TMEM_RECORD_FILLED)
		return restore->nr_pools == 0 && last >= TMEM_RECORD_BEGIN &&
		       last <= TMEM_RECORD_FILLED;
	if (kind == TMEM_RECORD_BEGIN)
		return last == 0;
	return last >= TMEM_RECORD_BEGIN && kind >= last &&
	       (kind == TMEM_RECORD_POOL || restore->nr_pools == 0);
}

static enum tmem_restore_fault record_take(struct tmem_restore *restore,
					   const struct tmem_record *record)
{
	switch (record->kind) {
	case TMEM_RECORD_BEGIN:
		return begin_take(restore, record);
	case TMEM_RECORD_POOL:
		return pool_take(restore, record);
	case TMEM_RECORD_PAGE:
	case TMEM_RECORD_FILLED:
		return page_take(restore, record);
	case TMEM_RECORD_GONE:
		return gone_take(restore, record);
	case TMEM_RECORD_CLOSED:
		return closed_take(restore, record);
	default: /* TMEM_RECORD_END */
		return end_take(restore, record);
	}
}

/* ---- records
 * ------------------------------------------------------------------------------------------ */

/* What is wrong with a record's head, before its payload is known. */
static enum tmem_restore_fault head_check(const struct tmem_restore *restore,
					  const struct tmem_record *record)
{
	if (restore->complete)
		return TMEM_RESTORE_BEYOND;
	if (restore->records == 0 &&
	    (record->kind != TMEM_RECORD_BEGIN || record->words[0] != TMEM_STREAM_MAGIC))
		return TMEM_RESTORE_MAGIC;
	if (tmem_stream_length(record->kind) == 0)
		return TMEM_RESTORE_KIND;
	if (record->length != tmem_stream_length(record->kind))
		return TMEM_RESTORE_LENGTH;
	if (record->number != restore->records)
		return TMEM_RESTORE_NUMBER;
	return TMEM_RESTORE_GOOD;
}

/* Take a record whose payload is in restore->page. */
static enum tmem_restore_fault record_check_take(struct tmem_restore *restore,
						 const struct tmem_record *record)
{
	enum tmem_restore_fault fault;

	if (tmem_stream_checksum(record, restore->page, restore->last) != record->checksum)
		return TMEM_RESTORE_CHECKSUM;
	if (!is_expected(restore, record->kind))
		return TMEM_RESTORE_KIND;
	restore->last = record->checksum;
	restore->records++;
	fault = record_take(restore, record);
	restore->kind = record->kind;
	return fault;
}

int64_t tmem_restore_write(struct tmem_restore *restore, const void *buffer, uint64_t size)
{
	const char *at = buffer;
	uint64_t left = size;
	unsigned int budget = TMEM_STEP;
	struct tmem_record record;

	while (!restore->fault && budget-- > 0 && left >= sizeof(record)) {
		__builtin_memcpy(&record, at, sizeof(record));
		restore->fault = head_check(restore, &record);
		if (restore->fault || record.length > left)
			break;
		__builtin_memcpy(restore->page, at + sizeof(record),
				 record.length - sizeof(record));
		restore->fault = record_check_take(restore, &record);
		at += record.length;
		left -= record.length;
	}
	tmem_frame_trim();
	return restore->fault ? -TIDEPOOL_EBADMSG : (int64_t)(size - left);
}

/* Destroy the pools of a set, a step of it. Returns whether none is left. */
static bool pools_destroy(struct tmem_client *client, uint64_t set[TMEM_POOL_WORDS])
{
	unsigned int i;

	for (i = 0; i < TMEM_POOL_WORDS; i++)
		while (set[i]) {
			unsigned int bit = (unsigned int)__builtin_ctzll(set[i]);

			if (tmem_pool_destroy(client, i * 64 + bit) == -TIDEPOOL_EAGAIN)
				return false;
			set[i] &= set[i] - 1;
		}
	return true;
}

int tmem_restore_end(struct tmem_restore *restore)
{
	if (!restore->fault && !restore->complete)
		restore->fault = TMEM_RESTORE_TRUNCATED;
	if (!pools_destroy(restore->client, restore->closed) ||
	    (restore->fault && !pools_destroy(restore->client, restore->pools)))
		return -TIDEPOOL_EAGAIN;
	tmem_client_thaw(restore->client, TMEM_FREEZE_RESTORE);
	return restore->fault ? -TIDEPOOL_EBADMSG : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flushing a range of an object's indices.
 *
 * A small object is walked, whatever the length of the range; of a big one each index of the range
 * is looked up, so many of them a step. Nothing is remembered from one step to the next: a step
 * tells how far down the range it came, and the guest goes on from there.
 */
#include <tidepool/abi.h>

#include "tmem/client.h"
#include "tmem/frame.h"
#include "tmem/index.h"
#include "tmem/page.h"
#include "tmem/pool.h"

/* What a step does at most, beside dropping TMEM_STEP pages. */
#define VISITS	256u /* pages of the object looked at */
#define LOOKUPS 256u /* indices looked up */

struct range {
	const uint64_t *oid;
	uint64_t first, count;
	unsigned int drops;  /* that the step may still do */
	unsigned int visits; /* likewise */
};

static void page_drop(struct tmem_page *page, struct range *range)
{
	struct tmem_lane *lane = tmem_page_shard(page)->lane;

	tmem_page_drop(page);
	tmem_lane_count(lane, TMEM_FLUSHED, 1);
	range->drops = range->drops == 0 || tmem_frame_backlog() ? 0 : range->drops - 1;
}

/*
 * Look at an object's pages in one shard, as far as the step goes. Returns whether none in the
 * range is left. The object may be gone. Context: the shard's lock held.
 */
static bool object_walk(const struct tmem_object *object, struct range *range)
{
	uint32_t number = object->pages, next;

	for (; number; number = next) {
		struct tmem_page *page = tmem_cell_at(number);

		next = page->next; /* 0 if the object goes with this page */
		tmem_cell_expect(next);
		if (range->visits == 0 || range->drops == 0)
			return false;
		range->visits--;
		if (page->index - range->first < range->count)
			page_drop(page, range);
	}
	return true;
}

/* Walk the object in all shards. Returns 1 when none of the range is left, 0, or the error. */
static int64_t walk(struct tmem_client *client, uint64_t pool, struct range *range)
{
	uint64_t hash = tmem_index_hash_oid(range->oid);
	bool done = true;
	unsigned int s;

	for (s = 0; s < TMEM_SHARDS && done; s++) {
		uint32_t object;
		int64_t error;
		struct tmem_shard *shard = tmem_shard_lock_nth(client, pool, s, TMEM_CHANGE,
							       &error);

		if (!shard)
			return error;
		object = tmem_index_find_object(shard, hash, range->oid);
		if (object)
			done = object_walk(tmem_cell_at(object), range);
		tmem_shard_unlock(shard);
	}
	return done;
}

/* Look up one index after the other, one at least. Returns how many, or the error. */
static int64_t look_up(struct tmem_client *client, uint64_t pool, struct range *range)
{
	struct tmem_key key = {
		.oid = {range->oid[0], range->oid[1], range->oid[2]},
		.index = range->first,
	};
	uint64_t n = 0;

	do {
		uint64_t hash = tmem_index_hash_key(&key);
		struct tmem_page *page;
		int64_t error;
		struct tmem_shard *shard = tmem_shard_lock(client, pool, hash, TMEM_CHANGE, &error);

		if (!shard)
			return error;
		page = tmem_index_find_page(shard, hash, &key);
		if (page)
			page_drop(page, range);
		tmem_shard_unlock(shard);
		key.index++;
		n++;
	} while (n < range->count && n < LOOKUPS && range->drops > 0);
	return (int64_t)n;
}

int64_t tmem_flush_range(struct tmem_client *client, uint64_t pool, const uint64_t oid[3],
			 uint64_t first, uint64_t count)
{
	/* One drop is kept for the look-up behind an unfinished walk. */
	struct range range = {
		.oid = oid,
		.first = first,
		.count = count,
		.drops = TMEM_STEP - 1,
		.visits = VISITS,
	};
	int64_t ret = 0;

	if (count == 0 || count > INT64_MAX || first + count - 1 < first)
		return -TIDEPOOL_EINVAL;
	if (count > LOOKUPS)
		ret = walk(client, pool, &range);
	if (ret == 0)
		ret = look_up(client, pool, &range);
	else if (ret > 0)
		ret = (int64_t)count;
	tmem_frame_trim();
	return ret;
}

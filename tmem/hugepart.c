/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operations on a part of a page of 2 MiB, which are about one of its 512 records.
 *
 * What is done to that is one critical section of its lane, some time after one of the head's in
 * which the page was there. If the page ends in between, all of this has happened just before the
 * end, which came while the call was made: nobody sees a difference, because whoever reads that
 * part afterwards has seen the page there as well.
 */
#include <tidepool/abi.h>

#include "tmem/client.h"
#include "tmem/frame.h"
#include "tmem/huge.h"
#include "tmem/index.h"
#include "tmem/ops.h"
#include "tmem/pool.h"

/* What the part is to become, or NULL, and where what it was goes, or NULL. */
struct part_call {
	const struct tmem_span *span;
	const void *data;
	void *back;
};

static int64_t part_do(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		       const struct part_call *call)
{
	enum tmem_access access = call->data ? TMEM_CHANGE : TMEM_LOOK;
	struct tmem_huge_claim claim;
	struct tmem_key part;
	int64_t ret = tmem_huge_claim(client, pool, key, access, &claim);

	if (ret)
		return ret;
	part = claim.first;
	part.index += call->span->part;
	if (call->data)
		ret = tmem_change_in(client, pool, &part, call->span, call->data, call->back,
				     TMEM_CHANGE | TMEM_HUGE);
	else
		ret = tmem_read_in(client, pool, &part, call->span, call->back,
				   TMEM_LOOK | TMEM_HUGE);
	if (ret == -TIDEPOOL_ENOENT)
		tmem_huge_miss(client, pool, key, &claim);
	tmem_frame_trim();
	return ret;
}

/* Count a call with its result for what it is of: @gets, @puts. Returns the result. */
static int64_t part_count(struct tmem_client *client, int64_t ret, bool gets, bool puts)
{
	bool refused = ret == -TIDEPOOL_ENOMEM || ret == -TIDEPOOL_EFROZEN;

	if (gets && (ret == 0 || ret == -TIDEPOOL_ENOENT))
		tmem_client_count(client, ret ? TMEM_MISSES : TMEM_GETS, 1);
	if (puts && (ret == 0 || refused))
		tmem_client_count(client, ret ? TMEM_REFUSED : TMEM_PUTS, 1);
	return ret;
}

int64_t tmem_huge_read(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		       const struct tmem_span *span, void *page)
{
	const struct part_call call = {.span = span, .back = page};

	return part_count(client, part_do(client, pool, key, &call), true, false);
}

int64_t tmem_huge_write(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
			const struct tmem_span *span, const void *data)
{
	const struct part_call call = {.span = span, .data = data};

	return part_count(client, part_do(client, pool, key, &call), false, true);
}

int64_t tmem_huge_exchange(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
			   const struct tmem_span *span, void *data)
{
	const struct part_call call = {.span = span, .data = data, .back = data};

	return part_count(client, part_do(client, pool, key, &call), true, true);
}

int64_t tmem_huge_object_is_gone(struct tmem_client *client, uint64_t pool, const uint64_t oid[3])
{
	uint64_t hash = tmem_index_hash_oid(oid);
	bool gone = true;
	unsigned int s;

	for (s = 0; s < TMEM_SHARDS && gone; s++) {
		int64_t error;
		struct tmem_shard *shard = tmem_shard_lock_nth(client, pool, s,
							       TMEM_CHANGE | TMEM_HUGE, &error);

		if (!shard)
			return error;
		gone = tmem_index_find_object(shard, hash, oid) == 0;
		tmem_shard_unlock(shard);
	}
	return gone;
}

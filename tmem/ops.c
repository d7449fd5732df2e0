/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operations on pages and objects.
 *
 * Each operation on a page is one critical section of the lane that its key belongs to, copying out
 * included; what is put is copied before, to where nobody sees it. Coherence follows from that:
 * whatever runs at once for a key runs in some order, and no get sees half of a put.
 */
#include "tmem/client.h"
#include "tmem/content.h"
#include "tmem/frame.h"
#include "tmem/index.h"
#include "tmem/ops.h"
#include "tmem/page.h"
#include "tmem/pool.h"

/*
 * Put a page under a key that holds one. This needs memory when the old page had no frame; without
 * any the old one goes, for the key must not return it again.
 */
static int64_t page_replace(struct tmem_page *page, struct tmem_staged *staged)
{
	bool written;

	tmem_page_hold(page);
	written = tmem_content_write(page, staged);
	tmem_page_unhold(page);
	if (written)
		return 0;
	tmem_page_drop(page);
	return -TIDEPOOL_ENOSPC;
}

/* Whether it is a put that is refused for a test of the guest. */
static bool put_is_unlucky(struct tmem_client *client, unsigned int access)
{
	if (!client->refuse || access & (TMEM_THAWED | TMEM_HUGE))
		return false;
	return __atomic_add_fetch(&client->refuse_turn, 1, __ATOMIC_RELAXED) % client->refuse == 0;
}

/* Refuse a put whatever room there is: nothing is added, and what is to be replaced goes. */
static int64_t page_refuse(struct tmem_page *old, int64_t reason)
{
	if (!old)
		return reason;
	tmem_page_drop(old);
	return -TIDEPOOL_ENOSPC;
}

/* Put a page under a key that holds none. */
static int64_t page_add(struct tmem_shard *shard, uint64_t hash, const struct tmem_key *key,
			struct tmem_staged *staged)
{
	if (!tmem_page_create(shard, hash, key, staged))
		return -TIDEPOOL_ENOMEM;
	tmem_index_grow(shard);
	return 0;
}

static int64_t staged_put(struct tmem_client *client, uint64_t pool, uint64_t hash,
			  const struct tmem_key *key, struct tmem_staged *staged,
			  unsigned int access)
{
	struct tmem_page *old;
	int64_t ret;
	struct tmem_shard *shard = tmem_shard_lock(client, pool, hash, access, &ret);

	if (!shard)
		return ret;
	old = tmem_index_find_page(shard, hash, key);
	if (old && access & TMEM_NEW_ONLY)
		ret = -TIDEPOOL_EINVAL;
	else if (tmem_client_frozen(client) && !(access & TMEM_THAWED))
		ret = page_refuse(old, -TIDEPOOL_EFROZEN);
	else if (put_is_unlucky(client, access))
		ret = page_refuse(old, -TIDEPOOL_ENOMEM);
	else
		ret = old ? page_replace(old, staged) : page_add(shard, hash, key, staged);
	if (!(access & TMEM_HUGE))
		tmem_call_count(client, shard, ret ? TMEM_REFUSED : TMEM_PUTS, 1);
	tmem_shard_unlock(shard);
	return ret;
}

int64_t tmem_put_in(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		    const void *page, const void *next, unsigned int access)
{
	uint64_t hash = tmem_index_hash_key(key);
	struct tmem_staged staged;
	int64_t ret = tmem_shard_expect(client, pool, hash, access);

	if (ret)
		return ret;
	tmem_content_stage(&staged, page, next);
	tmem_content_seek(client, &staged);
	ret = staged_put(client, pool, hash, key, &staged, access);
	tmem_content_unstage(&staged);
	return ret;
}

int64_t tmem_get_in(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		    void *page, unsigned int access)
{
	uint64_t hash = tmem_index_hash_key(key);
	struct tmem_page *found;
	int64_t ret;
	struct tmem_shard *shard = tmem_shard_lock(client, pool, hash, access, &ret);

	if (!shard)
		return ret;
	found = tmem_index_find_page(shard, hash, key);
	if (found) {
		tmem_content_expect(found);
		tmem_page_expect(found, shard->pool);
		tmem_content_read(found, page);
		tmem_page_got(found, shard->pool, hash);
	}
	if (!(access & TMEM_HUGE))
		tmem_call_count(client, shard, found ? TMEM_GETS : TMEM_MISSES, 1);
	tmem_shard_unlock(shard);
	return found ? 0 : -TIDEPOOL_ENOENT;
}

int64_t tmem_flush_in(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		      unsigned int access)
{
	uint64_t hash = tmem_index_hash_key(key);
	struct tmem_page *found;
	int64_t ret;
	struct tmem_shard *shard = tmem_shard_lock(client, pool, hash, access, &ret);

	if (!shard)
		return ret;
	found = tmem_index_find_page(shard, hash, key);
	if (found) {
		tmem_page_drop(found);
		tmem_lane_count(shard->lane, TMEM_FLUSHED, 1);
	}
	tmem_shard_unlock(shard);
	return found ? 1 : 0;
}

int64_t tmem_put_then(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		      const void *page, const void *next)
{
	int64_t ret = tmem_put_in(client, pool, key, page, next, TMEM_CHANGE);

	tmem_frame_trim();
	return ret;
}

int64_t tmem_put(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		 const void *page)
{
	return tmem_put_then(client, pool, key, page, NULL);
}

int64_t tmem_get(struct tmem_client *client, uint64_t pool, const struct tmem_key *key, void *page)
{
	int64_t ret = tmem_get_in(client, pool, key, page, TMEM_LOOK);

	tmem_frame_trim();
	return ret;
}

int64_t tmem_flush_page(struct tmem_client *client, uint64_t pool, const struct tmem_key *key)
{
	int64_t ret = tmem_flush_in(client, pool, key, TMEM_CHANGE);

	tmem_frame_trim();
	return ret;
}

int64_t tmem_flush_object(struct tmem_client *client, uint64_t pool, const uint64_t oid[3])
{
	uint64_t hash = tmem_index_hash_oid(oid);
	unsigned int s, budget = TMEM_STEP;
	int64_t ret = 0;

	for (s = 0; s < TMEM_SHARDS && ret == 0; s++) {
		uint32_t object;
		struct tmem_shard *shard = tmem_shard_lock_nth(client, pool, s,
							       TMEM_CHANGE | TMEM_ANY_ORDER, &ret);

		if (!shard)
			return ret;
		object = tmem_index_find_object(shard, hash, oid);
		if (object && !tmem_object_drop(tmem_cell_at(object), &budget))
			ret = -TIDEPOOL_EAGAIN;
		tmem_shard_unlock(shard);
	}
	tmem_frame_trim();
	return ret;
}

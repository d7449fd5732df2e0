/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Getting several pages or none.
 *
 * All shards that the keys belong to are locked at once, so that nothing can vanish between the
 * moment when all pages are known to be there and the last copy. They are locked in the order of
 * their addresses; nobody else waits for a shard while holding one.
 */
#include <tidepool/abi.h>

#include "tmem/client.h"
#include "tmem/content.h"
#include "tmem/frame.h"
#include "tmem/index.h"
#include "tmem/page.h"
#include "tmem/pool.h"

struct locked {
	struct tmem_shard *shards[TMEM_GET_ALL_MAX]; /* ascending, each once */
	unsigned int count;
	struct tmem_pool
		*pools[TMEM_GET_ALL_MAX]; /* of each get: its number may change meanwhile */
};

static void shards_add(struct locked *locked, struct tmem_shard *shard)
{
	unsigned int at = locked->count, i;

	while (at > 0 && locked->shards[at - 1] > shard)
		at--;
	if (at > 0 && locked->shards[at - 1] == shard)
		return;
	for (i = locked->count; i > at; i--)
		locked->shards[i] = locked->shards[i - 1];
	locked->shards[at] = shard;
	locked->count++;
}

static void shards_unlock(const struct locked *locked)
{
	unsigned int i;

	for (i = 0; i < locked->count; i++)
		tmem_lock_release(&locked->shards[i]->lock);
}

/* Lock the shards of all keys. Returns 0, or the error with nothing locked. */
static int64_t shards_lock(struct tmem_client *client, const struct tmem_get *gets,
			   unsigned int count, struct locked *locked)
{
	bool open = true, huge = false;
	unsigned int i;

	locked->count = 0;
	for (i = 0; i < count; i++) {
		uint64_t hash = tmem_index_hash_key(&gets[i].key);
		struct tmem_pool *pool;
		int64_t error = tmem_pool_access(client, gets[i].pool, TMEM_LOOK, &pool);

		if (error)
			return error;
		locked->pools[i] = pool;
		shards_add(locked, &pool->shards[hash % TMEM_SHARDS]);
	}
	for (i = 0; i < locked->count; i++) {
		tmem_lock_acquire(&locked->shards[i]->lock);
		open = open && locked->shards[i]->open;
		huge = huge || locked->shards[i]->pool->huge;
	}
	if (open && !huge)
		return 0;
	shards_unlock(locked);
	return open ? -TIDEPOOL_EINVAL : -TIDEPOOL_ENODEV;
}

static struct tmem_page *page_find(struct tmem_pool *pool, const struct tmem_key *key)
{
	uint64_t hash = tmem_index_hash_key(key);

	return tmem_index_find_page(&pool->shards[hash % TMEM_SHARDS], hash, key);
}

/* Whether a get of @page would find it gone, taken by one of the @count gets before. */
static bool is_taken(struct tmem_page *const *pages, unsigned int count,
		     const struct tmem_page *page)
{
	unsigned int i;

	if (tmem_pool_keeps(tmem_page_shard(page)->pool))
		return false;
	for (i = 0; i < count && pages[i] != page; i++)
		;
	return i < count;
}

/* Find all pages. Returns how many are missing. Context: the shards are locked. */
static unsigned int pages_find(const struct locked *locked, const struct tmem_get *gets,
			       unsigned int count, struct tmem_page **pages)
{
	unsigned int i, missing = 0;

	for (i = 0; i < count; i++) {
		pages[i] = page_find(locked->pools[i], &gets[i].key);
		if (!pages[i] || is_taken(pages, i, pages[i]))
			missing++;
	}
	return missing;
}

int64_t tmem_get_all(struct tmem_client *client, const struct tmem_get *gets, unsigned int count)
{
	struct tmem_page *pages[TMEM_GET_ALL_MAX];
	struct locked locked;
	unsigned int i, missing;
	int64_t ret = shards_lock(client, gets, count, &locked);

	if (ret)
		return ret;
	missing = pages_find(&locked, gets, count, pages);
	for (i = 0; i < count && !missing; i++)
		tmem_content_read(pages[i], gets[i].page);
	for (i = 0; i < count && !missing; i++)
		tmem_page_got(pages[i], locked.pools[i]);
	shards_unlock(&locked);

	if (missing)
		tmem_client_count(&client->counters.misses, missing);
	else
		tmem_client_count(&client->counters.gets, count);
	tmem_frame_trim();
	return missing ? -TIDEPOOL_ENOENT : 0;
}

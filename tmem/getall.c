/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Getting several pages or none.
 *
 * All lanes that the keys belong to are locked at once, so that nothing can vanish between the
 * moment when all pages are known to be there and the last copy. They are locked in the order of
 * their addresses; nobody else waits for a lane while holding one.
 */
#include <tidepool/abi.h>

#include "tmem/client.h"
#include "tmem/content.h"
#include "tmem/frame.h"
#include "tmem/index.h"
#include "tmem/page.h"
#include "tmem/pool.h"

struct locked {
	struct tmem_lane *lanes[TMEM_GET_ALL_MAX]; /* ascending, each once */
	unsigned int count;
	struct tmem_shard *shards[TMEM_GET_ALL_MAX]; /* of each get: a number's pool may change */
};

static void lanes_add(struct locked *locked, struct tmem_lane *lane)
{
	unsigned int at = locked->count, i;

	while (at > 0 && locked->lanes[at - 1] > lane)
		at--;
	if (at > 0 && locked->lanes[at - 1] == lane)
		return;
	for (i = locked->count; i > at; i--)
		locked->lanes[i] = locked->lanes[i - 1];
	locked->lanes[at] = lane;
	locked->count++;
}

static void lanes_unlock(const struct locked *locked)
{
	unsigned int i;

	for (i = 0; i < locked->count; i++)
		tmem_lock_release(&locked->lanes[i]->lock);
}

/* Lock the lanes of all keys. Returns 0, or the error with nothing locked. */
static int64_t lanes_lock(struct tmem_client *client, const struct tmem_get *gets,
			  unsigned int count, struct locked *locked)
{
	bool open = true, huge = false;
	unsigned int i;

	for (i = 0; i < count; i++) {
		uint64_t hash = tmem_index_hash_key(&gets[i].key);
		struct tmem_pool *pool;
		int64_t error = tmem_pool_access(client, gets[i].pool, TMEM_LOOK, &pool);

		if (error)
			return error;
		locked->shards[i] = &pool->shards[tmem_index_shard(hash)];
		lanes_add(locked, locked->shards[i]->lane);
	}
	for (i = 0; i < locked->count; i++)
		tmem_lock_acquire(&locked->lanes[i]->lock);
	for (i = 0; i < count; i++) {
		open = open && locked->shards[i]->open;
		huge = huge || locked->shards[i]->pool->huge;
	}
	if (open && !huge)
		return 0;
	lanes_unlock(locked);
	return open ? -TIDEPOOL_EINVAL : -TIDEPOOL_ENODEV;
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

/* Find all pages. Returns how many are missing. Context: the lanes are locked. */
static unsigned int pages_find(const struct locked *locked, const struct tmem_get *gets,
			       unsigned int count, struct tmem_page **pages)
{
	unsigned int i, missing = 0;

	for (i = 0; i < count; i++)
		tmem_index_expect(locked->shards[i], tmem_index_hash_key(&gets[i].key));
	for (i = 0; i < count; i++) {
		pages[i] = tmem_index_find_page(locked->shards[i],
						tmem_index_hash_key(&gets[i].key), &gets[i].key);
		if (!pages[i] || is_taken(pages, i, pages[i]))
			missing++;
	}
	return missing;
}

int64_t tmem_get_all(struct tmem_client *client, const struct tmem_get *gets, unsigned int count)
{
	struct tmem_page *pages[TMEM_GET_ALL_MAX];
	struct locked locked = {.count = 0};
	unsigned int i, missing;
	int64_t ret = lanes_lock(client, gets, count, &locked);

	if (ret)
		return ret;
	missing = pages_find(&locked, gets, count, pages);
	for (i = 0; i < count && !missing; i++) {
		if (i + 1 < count)
			tmem_content_expect(pages[i + 1]);
		tmem_content_read(pages[i], gets[i].page);
	}
	for (i = 0; i < count && !missing; i++)
		tmem_page_got(pages[i], locked.shards[i]->pool, tmem_index_hash_key(&gets[i].key));
	tmem_call_count(client, locked.shards[0], missing ? TMEM_MISSES : TMEM_GETS,
			missing ? missing : count);
	lanes_unlock(&locked);
	tmem_frame_trim();
	return missing ? -TIDEPOOL_ENOENT : 0;
}

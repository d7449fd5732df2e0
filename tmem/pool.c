/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Creating and destroying pools.
 *
 * A pool's frame stays where it is until its client goes: a call on another CPU may have found the
 * pool just before it was destroyed, and will lock one of its shards and see that it is closed.
 */
#include "tmem/client.h"
#include "tmem/frame.h"
#include "tmem/index.h"
#include "tmem/page.h"
#include "tmem/pool.h"
#include "tmem/reserve.h"
#include "tmem/shared.h"

#define FLAGS_KNOWN                                                                                \
	(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_SHARED | TIDEPOOL_POOL_ORDER_MASK |              \
	 TIDEPOOL_POOL_VERSION_MASK)

struct tmem_pool *tmem_pool_find(struct tmem_client *client, uint64_t id)
{
	/*
	 * Masked, and read before it is checked: behind a comparison that is mispredicted, the
	 * number would index past the table in speculation. An atomic read is not moved behind it.
	 */
	struct tmem_pool *pool = __atomic_load_n(&client->pools[id % TIDEPOOL_MAX_POOLS],
						 __ATOMIC_ACQUIRE);

	return id < TIDEPOOL_MAX_POOLS ? pool : NULL;
}

int64_t tmem_pool_access(struct tmem_client *client, uint64_t id, unsigned int access,
			 struct tmem_pool **pool)
{
	const struct tmem_grant *grant = tmem_shared_find(client, id);

	*pool = grant ? grant->pool : tmem_pool_find(client, id);
	if (!*pool)
		return -TIDEPOOL_ENODEV;
	return grant && !grant->write && access & TMEM_CHANGE ? -TIDEPOOL_EPERM : 0;
}

struct tmem_shard *tmem_shard_lock_nth(struct tmem_client *client, uint64_t id, unsigned int n,
				       unsigned int access, int64_t *error)
{
	struct tmem_pool *pool;
	struct tmem_shard *shard;

	*error = tmem_pool_access(client, id, access, &pool);
	if (*error)
		return NULL;
	shard = &pool->shards[n];
	tmem_lock_acquire(&shard->lane->lock);
	if (!shard->open)
		*error = -TIDEPOOL_ENODEV;
	else if (!(access & TMEM_ANY_ORDER) && pool->huge != !!(access & TMEM_HUGE))
		*error = -TIDEPOOL_EINVAL;
	else
		return shard;
	tmem_lock_release(&shard->lane->lock);
	return NULL;
}

struct tmem_shard *tmem_shard_lock(struct tmem_client *client, uint64_t id, uint64_t hash,
				   unsigned int access, int64_t *error)
{
	return tmem_shard_lock_nth(client, id, tmem_index_shard(hash), access, error);
}

void tmem_shard_unlock(struct tmem_shard *shard)
{
	struct tmem_lane *lane = shard->lane;

	if (lane->nr_spares > 0)
		tmem_spares_free(shard->pool->client, lane);
	tmem_lock_release(&lane->lock);
}

int64_t tmem_shard_expect(struct tmem_client *client, uint64_t id, uint64_t hash,
			  unsigned int access)
{
	int64_t error;
	struct tmem_shard *shard = tmem_shard_lock(client, id, hash, access, &error);
	struct tmem_lane *lane;

	if (!shard)
		return error;
	lane = shard->lane;
	tmem_index_expect(shard, hash);
	tmem_cell_expect(shard->recent);
	tmem_cell_expect(lane->ahead);
	tmem_cell_expect(lane->probation.newest);
	__builtin_prefetch(&shard->pool->client->lanes[lane->rival]);
	tmem_lock_release(&lane->lock);
	return 0;
}

static int64_t flags_check(uint64_t flags)
{
	uint64_t order = (flags & TIDEPOOL_POOL_ORDER_MASK) >> TIDEPOOL_POOL_ORDER_SHIFT;

	if (flags & ~FLAGS_KNOWN)
		return -TIDEPOOL_EINVAL;
	if ((flags & TIDEPOOL_POOL_VERSION_MASK) != TIDEPOOL_POOL_VERSION)
		return -TIDEPOOL_EINVAL;
	if (order != 0 && order != TIDEPOOL_HUGE_ORDER)
		return -TIDEPOOL_EINVAL;
	return 0;
}

/* Take the frames of an index, all or none. */
static bool index_reserve(struct tmem_client *client, void *frames[TMEM_INDEX_FRAMES])
{
	unsigned int i;

	for (i = 0; i < TMEM_INDEX_FRAMES; i++) {
		frames[i] = tmem_frame_reserve(client, TMEM_FRAME_METADATA, NULL);
		if (!frames[i])
			goto undo;
	}
	return true;
undo:
	tmem_lock_acquire(&client->lock);
	while (i-- > 0)
		tmem_client_frame_free(client, frames[i]);
	tmem_lock_release(&client->lock);
	return false;
}

/*
 * Whether a pool can be made with this id. One that has just been destroyed cannot, until the CPU
 * that did it has left it: it takes back its mark that the pool is busy, which would be the
 * maker's. Context: client lock held.
 */
static bool id_is_free(const struct tmem_client *client, uint64_t id)
{
	const struct tmem_pool *pool = client->pools[id];

	return !pool || (pool->state == TMEM_POOL_FREE && !pool->busy);
}

int64_t tmem_pool_free_id(struct tmem_client *client)
{
	unsigned int id;

	for (id = 0; id < TIDEPOOL_MAX_POOLS; id++)
		if (id_is_free(client, id) && !tmem_shared_find(client, id))
			return id;
	return -TIDEPOOL_ENOMEM;
}

static void pool_init(struct tmem_pool *pool, struct tmem_client *client, int64_t id)
{
	unsigned int s;

	__builtin_memset(pool, 0, sizeof(*pool));
	pool->client = client;
	pool->id = (uint64_t)id;
	for (s = 0; s < TMEM_SHARDS; s++) {
		pool->shards[s].pool = pool;
		pool->shards[s].lane = &client->lanes[s];
		pool->shards[s].home = tmem_cell_of_frame(pool) | s;
	}
}

#define ANY_ID (-1)

/* The id that a new pool gets, or the error. @want: ANY_ID or the id. Context: client lock held. */
static int64_t id_choose(struct tmem_client *client, int64_t want)
{
	if (want == ANY_ID && tmem_client_frozen(client))
		return -TIDEPOOL_EFROZEN;
	if (want == ANY_ID)
		return tmem_pool_free_id(client);
	if (!id_is_free(client, (uint64_t)want))
		return -TIDEPOOL_EBUSY;
	return want;
}

/*
 * Claim an id for a pool that is being created, by @want as id_choose(). Its frame is made when
 * there never was one. Returns the id or the error.
 */
static int64_t id_claim(struct tmem_client *client, int64_t want)
{
	struct tmem_pool *frame = NULL;
	int64_t id;

	tmem_lock_acquire(&client->lock);
	id = id_choose(client, want);
	/* Eviction needs the lock to be open: the id may be another then. */
	if (id >= 0 && !client->pools[id]) {
		tmem_lock_release(&client->lock);
		frame = tmem_frame_reserve(client, TMEM_FRAME_METADATA, NULL);
		tmem_lock_acquire(&client->lock);
		id = frame ? id_choose(client, want) : -TIDEPOOL_ENOMEM;
	}
	if (id >= 0 && !client->pools[id] && frame) {
		pool_init(frame, client, id);
		__atomic_store_n(&client->pools[id], frame, __ATOMIC_RELEASE);
		frame = NULL;
	}
	if (id >= 0 && !client->pools[id]) /* another CPU took the one that was there */
		id = -TIDEPOOL_ENOMEM;
	if (id >= 0) {
		client->pools[id]->state = TMEM_POOL_CREATED;
		client->pools[id]->busy = true;
	}
	if (frame)
		tmem_client_frame_free(client, frame);
	tmem_lock_release(&client->lock);
	return id;
}

static void shards_set_open(struct tmem_pool *pool, bool open)
{
	unsigned int s;

	for (s = 0; s < TMEM_SHARDS; s++) {
		struct tmem_shard *shard = &pool->shards[s];

		tmem_lock_acquire(&shard->lane->lock);
		shard->open = open;
		tmem_lock_release(&shard->lane->lock);
	}
}

/* What comes next for a pool that this CPU was busy with. */
static void busy_end(struct tmem_pool *pool, enum tmem_pool_state state)
{
	tmem_lock_acquire(&pool->client->lock);
	pool->client->open_pools += state == TMEM_POOL_OPEN && pool->state != TMEM_POOL_OPEN;
	pool->state = state;
	pool->busy = false;
	tmem_lock_release(&pool->client->lock);
}

/* Make a pool. @flags: checked; @want: as id_choose(). Returns its id or the error. */
static int64_t pool_make(struct tmem_client *client, int64_t want, uint64_t flags,
			 const uint64_t uuid[2])
{
	void *frames[TMEM_INDEX_FRAMES];
	struct tmem_pool *pool;
	/* Nobody else takes the id, and a destroy by another CPU is put off, until it is complete.
	 */
	int64_t id = id_claim(client, want);

	if (id < 0)
		return id;
	pool = client->pools[id];
	if (index_reserve(client, frames)) {
		tmem_index_init(pool, frames);
		pool->persistent = flags & TIDEPOOL_POOL_PERSISTENT;
		__atomic_store_n(&pool->huge, (flags & TIDEPOOL_POOL_ORDER_MASK) != 0,
				 __ATOMIC_RELAXED);
		pool->shared = false;
		pool->flags = flags;
		pool->uuid[0] = uuid[0];
		pool->uuid[1] = uuid[1];
		shards_set_open(pool, true);
		busy_end(pool, TMEM_POOL_OPEN);
	} else {
		busy_end(pool, TMEM_POOL_FREE);
		id = -TIDEPOOL_ENOMEM;
	}
	tmem_frame_trim();
	return id;
}

int64_t tmem_pool_create(struct tmem_client *client, uint64_t flags, const uint64_t uuid[2])
{
	int64_t ret = flags_check(flags);

	if (ret < 0)
		return ret;
	if (flags & TIDEPOOL_POOL_SHARED)
		return tmem_shared_open(client, flags, uuid);
	return pool_make(client, ANY_ID, flags, uuid);
}

int64_t tmem_pool_create_at(struct tmem_client *client, uint64_t id, uint64_t flags,
			    const uint64_t uuid[2])
{
	int64_t ret = flags_check(flags);

	return ret < 0 ? ret : pool_make(client, (int64_t)id, flags, uuid);
}

/* Drop a closed pool's pages, a bounded step of it. Returns whether none is left. */
static bool shards_drain(struct tmem_pool *pool, unsigned int *budget)
{
	bool empty = true;
	unsigned int s;

	for (s = 0; empty && s < TMEM_SHARDS; s++) {
		struct tmem_shard *shard = &pool->shards[s];

		tmem_lock_acquire(&shard->lane->lock);
		while (empty && shard->objects)
			empty = tmem_object_drop(tmem_cell_at(shard->objects), budget);
		tmem_lock_release(&shard->lane->lock);
	}
	return empty;
}

bool tmem_pool_release(struct tmem_pool *pool, unsigned int *budget)
{
	struct tmem_client *client = pool->client;
	enum tmem_pool_state state;
	bool done;

	tmem_lock_acquire(&client->lock);
	state = pool->state;
	if (state == TMEM_POOL_OPEN) {
		pool->state = TMEM_POOL_DYING;
		client->open_pools--;
	}
	tmem_lock_release(&client->lock);
	if (state == TMEM_POOL_FREE)
		return true;
	if (state == TMEM_POOL_OPEN) {
		shards_set_open(pool, false);
		/* Nor is it one of such pages any more: that it is none is what calls are told. */
		__atomic_store_n(&pool->huge, false, __ATOMIC_RELAXED);
	}
	if (!shards_drain(pool, budget))
		return false;

	tmem_lock_acquire(&client->lock);
	done = tmem_index_release(pool, budget);
	if (done)
		pool->state = TMEM_POOL_FREE;
	tmem_lock_release(&client->lock);
	return done;
}

int64_t tmem_pool_destroy(struct tmem_client *client, uint64_t id)
{
	struct tmem_pool *pool = tmem_pool_find(client, id);
	unsigned int budget = TMEM_STEP;
	enum tmem_pool_state state;
	bool busy, done;

	if (tmem_shared_close(client, id))
		return 0;
	if (!pool)
		return -TIDEPOOL_ENODEV;
	tmem_lock_acquire(&client->lock);
	state = pool->state;
	busy = pool->busy;
	if (state != TMEM_POOL_FREE)
		pool->busy = true;
	tmem_lock_release(&client->lock);
	if (state == TMEM_POOL_FREE)
		return -TIDEPOOL_ENODEV;
	if (busy)
		return -TIDEPOOL_EAGAIN;

	done = tmem_pool_release(pool, &budget);
	tmem_lock_acquire(&client->lock);
	pool->busy = false;
	tmem_lock_release(&client->lock);
	tmem_frame_trim();
	return done ? 0 : -TIDEPOOL_EAGAIN;
}

bool tmem_pool_is_huge(struct tmem_client *client, uint64_t pool)
{
	struct tmem_pool *found = tmem_pool_find(client, pool);

	return found && __atomic_load_n(&found->huge, __ATOMIC_RELAXED);
}

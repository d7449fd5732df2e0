/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/shared.h"
#include "tmem/pool.h"

static void destroy_whole(struct tmem_client *client)
{
	while (tmem_client_destroy(client) == -TIDEPOOL_EAGAIN)
		;
}

struct tmem_client *tmem_shared_create(const uint64_t name[2], bool persistent,
				       const struct tmem_limits *limits)
{
	struct tmem_client *account = tmem_client_create(limits);
	uint64_t flags = TIDEPOOL_POOL_VERSION | (persistent ? TIDEPOOL_POOL_PERSISTENT : 0);

	if (!account)
		return NULL;
	if (tmem_pool_create(account, flags, name) < 0) {
		destroy_whole(account);
		return NULL;
	}
	account->pools[0]->shared = true;
	return account;
}

int tmem_shared_grant(struct tmem_client *client, struct tmem_client *shared, bool write)
{
	if (client->grant_count == TMEM_MAX_GRANTS)
		return -TIDEPOOL_ENOMEM;
	client->grants[client->grant_count++] = (struct tmem_grant){
		.pool = shared->pools[0],
		.write = write,
		.id = TMEM_GRANT_CLOSED,
	};
	return 0;
}

/* Whether a guest that asked so means this pool. */
static bool is_asked_for(const struct tmem_pool *pool, uint64_t flags, const uint64_t uuid[2])
{
	bool persistent = flags & TIDEPOOL_POOL_PERSISTENT;

	return pool->uuid[0] == uuid[0] && pool->uuid[1] == uuid[1] &&
	       pool->persistent == persistent && !(flags & TIDEPOOL_POOL_ORDER_MASK);
}

int64_t tmem_shared_open(struct tmem_client *client, uint64_t flags, const uint64_t uuid[2])
{
	struct tmem_grant *grant = client->grants;
	const struct tmem_grant *end = grant + client->grant_count;
	int64_t id;

	while (grant < end && !is_asked_for(grant->pool, flags, uuid))
		grant++;
	if (grant == end)
		return -TIDEPOOL_EPERM;

	/* Looked at with the lock held: a restore that has begun finds no number taken. */
	tmem_lock_acquire(&client->lock);
	id = tmem_client_frozen(client) ? -TIDEPOOL_EFROZEN : (int64_t)grant->id;
	if (id == TMEM_GRANT_CLOSED) {
		id = tmem_pool_free_id(client);
		if (id >= 0) {
			__atomic_store_n(&grant->id, (uint32_t)id, __ATOMIC_RELEASE);
			client->open_pools++;
		}
	}
	tmem_lock_release(&client->lock);
	return id;
}

bool tmem_shared_close(struct tmem_client *client, uint64_t id)
{
	bool open = false;
	uint32_t i;

	if (!tmem_shared_find(client, id))
		return false;
	tmem_lock_acquire(&client->lock);
	for (i = 0; i < client->grant_count && !open; i++) {
		open = client->grants[i].id == id;
		if (open) {
			__atomic_store_n(&client->grants[i].id, TMEM_GRANT_CLOSED,
					 __ATOMIC_RELEASE);
			client->open_pools--;
		}
	}
	tmem_lock_release(&client->lock);
	return open;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pools that several clients share.
 *
 * Such a pool belongs to a client of its own, which no guest has: its pages and their metadata are
 * charged there, within that client's cap, reserve and weight, so that no member pays for another
 * or can make another exceed its cap. What the members have is a grant, given before they run, and
 * a number for the pool while they have it open. So a member that goes leaves the pool as it is.
 */
#ifndef TMEM_SHARED_H
#define TMEM_SHARED_H

#include "tmem/client.h"

#define TMEM_GRANT_CLOSED TIDEPOOL_MAX_POOLS /* struct tmem_grant.id of a pool that is not open */

/*
 * tmem_shared_find - a client's grant for the shared pool that it has open under a number
 *
 * Returns NULL when there is none. The grant, with its pool and right, stays; the number may be
 * closed at any time. Context: any.
 */
static inline const struct tmem_grant *tmem_shared_find(const struct tmem_client *client,
							uint64_t id)
{
	uint32_t i;

	for (i = 0; i < client->grant_count; i++)
		if (__atomic_load_n(&client->grants[i].id, __ATOMIC_ACQUIRE) == id)
			return id < TIDEPOOL_MAX_POOLS ? &client->grants[i] : NULL;
	return NULL;
}

/* tmem_shared_open - TIDEPOOL_OP_NEW_POOL with TIDEPOOL_POOL_SHARED; see tmem_pool_create() */
int64_t tmem_shared_open(struct tmem_client *client, uint64_t flags, const uint64_t uuid[2]);

/* tmem_shared_close - let go of a shared pool. Returns false when the number is none's. */
bool tmem_shared_close(struct tmem_client *client, uint64_t id);

#endif

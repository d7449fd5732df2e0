/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/share.h"
#include "tmem/client.h"
#include "tmem/store.h"

/* What a client holds above its reserve, and what that is weighed by. */
struct share {
	uint64_t excess; /* frames */
	uint64_t weight;
};

/* A frame is 2^12 bytes of at most 2^52, a weight has 16 bits: this fits. */
static bool further_above(struct share a, struct share b)
{
	return a.excess * b.weight > b.excess * a.weight;
}

/* As @client stands with @more frames. Context: any; exact with its lock held. */
static struct share share_of(const struct tmem_client *client, uint64_t more)
{
	uint64_t charged = __atomic_load_n(&client->charged, __ATOMIC_RELAXED) + more;
	uint64_t reserve = __atomic_load_n(&client->reserve, __ATOMIC_RELAXED);

	return (struct share){
		.excess = charged > reserve ? charged - reserve : 0,
		.weight = client->weight,
	};
}

struct tmem_client *tmem_share_victim(struct tmem_client *client, bool insists)
{
	struct share most = insists ? (struct share){.weight = 1} : share_of(client, 1);
	struct tmem_client *victim = NULL;
	struct tmem_link *link;

	tmem_lock_acquire(&tmem_store.lock);
	for (link = tmem_store.clients.first; link; link = link->next) {
		struct tmem_client *other = tmem_list_entry(link, struct tmem_client, link);

		if (other == client || !further_above(share_of(other, 0), most))
			continue;
		if (!tmem_lock_try(&other->lock))
			continue;
		/* Again, now that it stands still. */
		if (further_above(share_of(other, 0), most) && tmem_client_has_ephemeral(other)) {
			if (victim)
				tmem_lock_release(&victim->lock);
			victim = other;
			most = share_of(other, 0);
		} else {
			tmem_lock_release(&other->lock);
		}
	}
	tmem_lock_release(&tmem_store.lock);
	return victim;
}

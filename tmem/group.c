/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/group.h"
#include "tmem/client.h"

/* Who looks into whose tables. A member's table stays while the lock is held. */
static struct group {
	struct tmem_lock lock;
	struct tmem_list members; /* struct tmem_dedup.member */
} groups[TMEM_DEDUP_GROUPS];

static struct group *group_of(const struct tmem_client *client)
{
	uint32_t domain = client->dedup.domain;

	return domain >= TMEM_DEDUP_GROUP ? &groups[domain - TMEM_DEDUP_GROUP] : NULL;
}

void tmem_group_join(struct tmem_client *client)
{
	struct group *group = group_of(client);

	if (!group)
		return;
	tmem_lock_acquire(&group->lock);
	tmem_list_push(&group->members, &client->dedup.member);
	tmem_lock_release(&group->lock);
}

void tmem_group_leave(struct tmem_client *client)
{
	struct group *group = group_of(client);

	if (!group)
		return;
	tmem_lock_acquire(&group->lock);
	tmem_list_remove(&client->dedup.member);
	tmem_lock_release(&group->lock);
	client->dedup.domain = TMEM_DEDUP_ALONE;
}

void *tmem_group_candidate(struct tmem_client *client, uint32_t mark, unsigned int skip)
{
	struct group *group = group_of(client);
	struct tmem_link *link;
	void *frame = NULL;

	if (!group)
		return NULL;
	tmem_lock_acquire(&group->lock);
	for (link = group->members.first; link && !frame; link = link->next) {
		struct tmem_client *other = tmem_list_entry(link, struct tmem_client, dedup.member);

		if (other != client)
			frame = tmem_dedup_candidate(other, mark, &skip);
	}
	tmem_lock_release(&group->lock);
	return frame;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Groups of clients whose equal pages share memory: tmem/dedup.h. */
#ifndef TMEM_GROUP_H
#define TMEM_GROUP_H

#include <stdint.h>

struct tmem_client;

/*
 * tmem_group_join - enter a client that was just created into the group that its limits name
 *
 * Its dedup.domain is set; nothing else is done for one that is in no group.
 * Context of this and the next: no lock held.
 */
void tmem_group_join(struct tmem_client *client);

/* After this no other client looks into the client's table. */
void tmem_group_leave(struct tmem_client *client);

/*
 * tmem_group_candidate - find a content with a mark in the tables of the group's other clients
 * @skip: so many are passed over
 *
 * Returns its frame, held for the client, or NULL. Context: as tmem_dedup_find().
 */
void *tmem_group_candidate(struct tmem_client *client, uint32_t mark, unsigned int skip);

#endif

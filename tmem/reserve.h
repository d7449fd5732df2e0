/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames and cells, at the price of ephemeral pages where there is no memory: eviction. */
#ifndef TMEM_RESERVE_H
#define TMEM_RESERVE_H

#include "tmem/client.h"
#include "tmem/page.h"
#include "tmem/pool.h"

/*
 * tmem_frame_reserve - take a charged frame, at the price of an ephemeral page if need be
 * @use:  what for; the frame of an evicted page serves any
 * @held: the shard whose lane's lock the caller holds, or NULL
 *
 * Returns the frame, of any content, or NULL when the client has nothing to evict either.
 * Pages in @held may be gone afterwards, with their objects.
 * Context: the client's lock not held.
 */
void *tmem_frame_reserve(struct tmem_client *client, enum tmem_frame_use use,
			 struct tmem_shard *held);

/* Take a cell likewise. Returns its number or 0. */
uint32_t tmem_cell_reserve(struct tmem_shard *held);

/* Give back what a page has left. Context: the client's lock not held. */
void tmem_remains_free(struct tmem_client *client, struct tmem_remains *remains);

/* Give back cells. Context: the client's lock not held. */
void tmem_cells_free(struct tmem_client *client, const uint32_t *numbers, unsigned int count);

/* Give back the lane's spare cells. Context: lane lock held, the client's not. */
void tmem_spares_free(struct tmem_client *client, struct tmem_lane *lane);

#endif

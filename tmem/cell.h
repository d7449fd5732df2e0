/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cells: 64 bytes each, one cache line, for the records of pages and objects. They come out of
 * frames charged to the client, 63 from each; a frame whose cells are all free is given back.
 */
#ifndef TMEM_CELL_H
#define TMEM_CELL_H

#include "tmem/client.h"

#define TMEM_CELL_SIZE 64u

/*
 * tmem_cell_alloc - take a cell
 *
 * Returns the cell, of any content, or NULL: at the cap, or the host has no memory.
 * Context: client lock held.
 */
void *tmem_cell_alloc(struct tmem_client *client);

/* Give a cell back. Context: client lock held. */
void tmem_cell_free(struct tmem_client *client, void *cell);

#endif

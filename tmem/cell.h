/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cells: 64 bytes each, one cache line, for the records of pages and objects and for what the
 * index needs beside its table. They come out of frames charged to the client, 63 from each; a
 * frame whose cells are all free is given back. A cell never moves.
 *
 * A cell is known by its number: 17 bits for its block (tmem_number_table), 15 for its place there.
 * Half a pointer is what lets a page's record hold its whole key in one line. 0 is no cell: it
 * would be a block's header.
 */
#ifndef TMEM_CELL_H
#define TMEM_CELL_H

#include "tmem/client.h"
#include "tmem/number.h"

#define TMEM_CELL_SIZE	     64u
#define TMEM_CELLS_PER_FRAME (TMEM_PAGE_SIZE / TMEM_CELL_SIZE)
#define TMEM_CELL_BITS	     15u /* of a number: the place in the block */

_Static_assert(TMEM_BLOCK_SIZE / TMEM_CELL_SIZE == 1u << TMEM_CELL_BITS, "all places of a block");

/* The cell of a number that is not 0. */
static inline void *tmem_cell_at(uint32_t number)
{
	char **table = __atomic_load_n(&tmem_number_table, __ATOMIC_RELAXED);

	return table[number >> TMEM_CELL_BITS] +
	       (uint64_t)(number & ((1u << TMEM_CELL_BITS) - 1)) * TMEM_CELL_SIZE;
}

/* Bring a cell's line near, if the number is not 0. */
static inline void tmem_cell_expect(uint32_t number)
{
	if (number)
		__builtin_prefetch(tmem_cell_at(number), 1);
}

/* The number of a metadata frame's first cell. Context: the frame is in use. */
uint32_t tmem_cell_of_frame(const void *frame);

/* The number of a cell that is in use. */
uint32_t tmem_cell_number(const void *cell);

/*
 * tmem_cell_alloc - take a cell
 *
 * Returns its number; the cell has any content. Or 0: at the cap, or the host has no memory.
 * Context: client lock held.
 */
uint32_t tmem_cell_alloc(struct tmem_client *client);

/* Give a cell back. Context: client lock held. */
void tmem_cell_free(struct tmem_client *client, uint32_t number);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/cell.h"

/* The first cell of a frame of cells. */
struct header {
	struct tmem_link link; /* in client->cells while a cell is free */
	uint64_t free;	       /* bit n: cell n is free; bit 0, this header, is never set */
};

#define ALL_FREE (~1ull)

_Static_assert(sizeof(struct header) <= TMEM_CELL_SIZE, "the header fits a cell");
_Static_assert(TMEM_PAGE_SIZE / TMEM_CELL_SIZE == 64, "one bit of a word for each cell");

void *tmem_cell_alloc(struct tmem_client *client)
{
	struct header *header;
	unsigned int n;

	if (!client->cells.first) {
		header = tmem_client_frame_alloc(client, TMEM_FRAME_METADATA);
		if (!header)
			return NULL;
		header->free = ALL_FREE;
		tmem_list_push(&client->cells, &header->link);
	}
	header = tmem_list_entry(client->cells.first, struct header, link);
	n = (unsigned int)__builtin_ctzll(header->free);
	header->free &= header->free - 1;
	if (!header->free)
		tmem_list_remove(&header->link);
	return (char *)header + n * TMEM_CELL_SIZE;
}

void tmem_cell_free(struct tmem_client *client, void *cell)
{
	struct header *header = (void *)((uintptr_t)cell & ~(uintptr_t)(TMEM_PAGE_SIZE - 1));
	uint64_t n = ((uintptr_t)cell - (uintptr_t)header) / TMEM_CELL_SIZE;

	if (!header->free)
		tmem_list_push(&client->cells, &header->link);
	header->free |= 1ull << n;
	if (header->free == ALL_FREE) {
		tmem_list_remove(&header->link);
		tmem_client_frame_free(client, header);
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/cell.h"

/* The first cell of a frame of cells. */
struct header {
	struct tmem_link link; /* in client->cells while a cell is free */
	uint64_t free;	       /* bit n: cell n is free; bit 0, this header, is never set */
	uint32_t number;       /* of this cell */
};

#define ALL_FREE (~1ull)

_Static_assert(sizeof(struct header) <= TMEM_CELL_SIZE, "the header fits a cell");
_Static_assert(TMEM_CELLS_PER_FRAME == 64, "one bit of a word for each cell");

static struct header *header_of(const void *cell)
{
	return (void *)((uintptr_t)cell & ~(uintptr_t)(TMEM_PAGE_SIZE - 1));
}

static uint32_t place_in_frame(const void *cell)
{
	return (uint32_t)((uintptr_t)cell % TMEM_PAGE_SIZE / TMEM_CELL_SIZE);
}

uint32_t tmem_cell_of_frame(const void *frame)
{
	return tmem_frame_block_number(frame) << TMEM_CELL_BITS |
	       (uint32_t)((uintptr_t)frame % TMEM_BLOCK_SIZE / TMEM_CELL_SIZE);
}

uint32_t tmem_cell_number(const void *cell)
{
	return header_of(cell)->number + place_in_frame(cell);
}

uint32_t tmem_cell_alloc(struct tmem_client *client)
{
	struct header *header;
	uint32_t n;

	if (!client->cells.first) {
		header = tmem_client_frame_alloc(client, TMEM_FRAME_METADATA);
		if (!header)
			return 0;
		header->free = ALL_FREE;
		header->number = tmem_cell_of_frame(header);
		tmem_list_push(&client->cells, &header->link);
	}
	header = tmem_list_entry(client->cells.first, struct header, link);
	n = (uint32_t)__builtin_ctzll(header->free);
	header->free &= header->free - 1;
	if (!header->free)
		tmem_list_remove(&header->link);
	return header->number + n;
}

void tmem_cell_free(struct tmem_client *client, uint32_t number)
{
	struct header *header = header_of(tmem_cell_at(number));

	if (!header->free)
		tmem_list_push(&client->cells, &header->link);
	header->free |= 1ull << number % TMEM_CELLS_PER_FRAME;
	if (header->free == ALL_FREE) {
		tmem_list_remove(&header->link);
		tmem_client_frame_free(client, header);
	}
}

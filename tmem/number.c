/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/number.h"
#include "tmem/store.h"

/*
 * Entries of blocks that have no number hold the next such entry, shifted past a set bit. Number 0
 * is nobody's. For more blocks than these the table moves to a block of its own: more than 8 GiB of
 * pages have that much to keep track of.
 */
#define FIRST_NUMBERS 64u
#define TABLE_NUMBERS (TMEM_BLOCK_SIZE / sizeof(char *))

static char *first_table[FIRST_NUMBERS];
char **tmem_number_table = first_table;

static uint32_t first_free; /* entry of the table; 0: none */
static void *table_block;   /* that the table is in, when it has outgrown first_table */

static void numbers_add(char **table, uint32_t first, uint32_t end)
{
	uint32_t n;

	for (n = first; n < end; n++)
		table[n] = (char *)((uintptr_t)(n + 1 < end ? n + 1 : 0) << 1 | 1);
	first_free = first;
}

/*
 * Move the table to where it can grow. Whoever is reading the old one meanwhile finds in it what
 * the new one has as well: it looks for a block that is in use.
 */
static void table_grow(void)
{
	char **table;

	if (table_block)
		return;
	table_block = tmem_store.host.block_alloc();
	if (!table_block)
		return;
	table = __builtin_memcpy(table_block, first_table, sizeof(first_table));
	numbers_add(table, FIRST_NUMBERS, TABLE_NUMBERS);
	__atomic_store_n(&tmem_number_table, table, __ATOMIC_RELEASE);
}

void tmem_number_init(void)
{
	tmem_number_table = first_table;
	table_block = NULL;
	numbers_add(first_table, 1, FIRST_NUMBERS);
}

void tmem_number_exit(void)
{
	if (table_block)
		tmem_store.host.block_free(table_block);
}

bool tmem_number_take(uint32_t *number, void *block)
{
	if (*number)
		return true;
	if (!first_free)
		table_grow();
	if (!first_free)
		return false;
	*number = first_free;
	first_free = (uint32_t)((uintptr_t)tmem_number_table[*number] >> 1);
	tmem_number_table[*number] = block;
	return true;
}

void tmem_number_give(uint32_t number)
{
	if (!number)
		return;
	tmem_number_table[number] = (char *)((uintptr_t)first_free << 1 | 1);
	first_free = number;
}

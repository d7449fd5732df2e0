/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers of blocks, smaller than their addresses: a cell is known by 32 bits, its block's number
 * and its own (tmem/cell.h).
 *
 * Context of all: the lock of tmem/frame.c held.
 */
#ifndef TMEM_NUMBER_H
#define TMEM_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* Where blocks are, by their numbers. Read without the lock, for blocks that are in use. */
extern char **tmem_number_table;

/* Forget all numbers. Context: tmem_init(). */
void tmem_number_init(void);

/* Give back what the numbers took. Context: tmem_exit(). */
void tmem_number_exit(void);

/* Give a block a number unless *@number says that it has one. Returns whether it has, then. */
bool tmem_number_take(uint32_t *number, void *block);

/* Take a block's number back. 0: it had none. */
void tmem_number_give(uint32_t number);

#endif

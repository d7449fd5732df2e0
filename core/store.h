/* SPDX-License-Identifier: BSD-2-Clause */
/* The page store's place in the hypervisor: hands tmem/ its memory and its callbacks. */
#ifndef CORE_STORE_H
#define CORE_STORE_H

#include "core/types.h"

/*
 * store_init - start the store on the memory that nobody owns
 * Returns 0 or -ENOMEM, printed. Context: boot CPU, before the first guest.
 */
int store_init(void);

/*
 * store_block_moves - blocks that the store has taken and given back so far
 *
 * Scrubbing one costs as much as hundreds of pages copied: who does several operations in a row
 * stops when one of them has moved a block.
 * Context: any.
 */
uint64_t store_block_moves(void);

#endif

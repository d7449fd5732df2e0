/* SPDX-License-Identifier: BSD-2-Clause */
/* The page store's place in the hypervisor: hands tmem/ its memory and its callbacks. */
#ifndef CORE_STORE_H
#define CORE_STORE_H

#include "core/config.h"
#include "core/types.h"
#include "tmem/tmem.h"

/*
 * store_init - start the store on the memory that nobody owns
 * Returns 0 or -ENOMEM, printed. Context: boot CPU, before the first guest.
 */
int store_init(void);

/* store_limits - what bytes and words of a configuration are to the store */
struct tmem_limits store_limits(uint64_t cap, uint64_t reserve, uint16_t weight, uint32_t dedup);

/*
 * store_add_pools - make the pools that guests share
 *
 * One that there is no memory for is named in a sentence, and no guest can use it.
 * Context: boot CPU, behind store_init().
 */
void store_add_pools(const struct config *config);

/* store_grant - let a guest's account use the pools of its "shared=" words, before it runs */
void store_grant(struct tmem_client *client, const struct guest_config *guest);

/*
 * store_pool - the account of pool @n of the configuration, and its name
 * Returns NULL when it could not be made, or there are not so many. Context: any.
 */
struct tmem_client *store_pool(uint32_t n, const char **name);

/*
 * store_block_moves - blocks that the store has taken and given back so far
 *
 * Scrubbing one costs as much as hundreds of pages copied: who does several operations in a row
 * stops when one of them has moved a block.
 * Context: any.
 */
uint64_t store_block_moves(void);

/*
 * Blocks that the store leaves alone, so that page tables and control blocks of later guests can
 * still be had when guests have filled the store; what a guest that is being restarted has just
 * given back is left alone as well.
 */
#define STORE_RESERVE_BLOCKS 4u

/* What the store does not take, and one that it does. */
#define STORE_SPARE_BLOCKS (STORE_RESERVE_BLOCKS + 1)

/*
 * store_make_room - a step of having so many free blocks in the pool that guests are built from
 * @blocks: so many at least
 * @spare:  so many more are tried for; STORE_SPARE_BLOCKS for one whose account is to be made
 *
 * Takes them from the store. Returns 1: repeat, 0: they are there, -ENOSPC: they cannot be had.
 * Context: no lock held; takes as long as some pages copied.
 */
int store_make_room(uint64_t blocks, uint64_t spare);

/*
 * store_idle_step - a bit of the store's work, for an idle CPU; see tmem_idle_step()
 * Returns whether there was any. Context: any; takes some microseconds.
 */
bool store_idle_step(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/store.h"
#include "arch/x86_64/cpu/copy.h"
#include "arch/x86_64/cpu/lz4.h"
#include "arch/x86_64/cpu/platform.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/vm/vm.h"
#include "tmem/tmem.h"

/*
 * Blocks that the store leaves alone, so that page tables and control blocks of later guests can
 * still be had when guests have filled the store; what a guest that is being restarted has just
 * given back is left alone as well.
 */
#define STORE_RESERVE_BLOCKS 4u

_Static_assert(TMEM_BLOCK_SIZE == BLOCK_SIZE, "the store's unit is the allocator's");

static uint64_t block_moves;

static void *store_block_alloc(void)
{
	void *block = NULL;

	if (frames_free_blocks() > STORE_RESERVE_BLOCKS + vms_awaited_blocks())
		block = block_alloc();
	if (block)
		__atomic_fetch_add(&block_moves, 1, __ATOMIC_RELAXED);
	return block;
}

static void store_block_free(void *block)
{
	__atomic_fetch_add(&block_moves, 1, __ATOMIC_RELAXED);
	block_free(block);
}

uint64_t store_block_moves(void)
{
	return __atomic_load_n(&block_moves, __ATOMIC_RELAXED);
}

static void store_relax(void)
{
	__builtin_ia32_pause();
}

int store_init(void)
{
	uint64_t key[COPY_KEY_WORDS];
	struct tmem_host host = {
		.block_alloc = store_block_alloc,
		.block_free = store_block_free,
		.page_get = copy_page_cached,
		.compress = lz4_compress,
		.decompress = lz4_decompress,
		.relax = store_relax,
		.hash_seed = {platform_random(), platform_random()},
	};
	unsigned int i;

	for (i = 0; i < COPY_KEY_WORDS; i++)
		key[i] = platform_random();
	host.page_put = copy_init(key);

	if (tmem_init(&host) < 0) {
		printk("tidepool: too little memory: the store needs at least %u MiB, %llu MiB are free\n",
		       (unsigned int)((STORE_RESERVE_BLOCKS + 1) * BLOCK_SIZE / MIB),
		       (unsigned long long)(frames_free_bytes() / MIB));
		return -ENOMEM;
	}
	return 0;
}

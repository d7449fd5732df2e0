/* SPDX-License-Identifier: BSD-2-Clause */
#include <tidepool/abi.h>

#include "core/store.h"
#include "arch/x86_64/cpu/copy.h"
#include "arch/x86_64/cpu/lz4.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/cpu/platform.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/string.h"
#include "core/vm/vm.h"
#include "tmem/tmem.h"

/* Memory is short when less than this part of it is free: then cold pages are compressed. */
#define SCARCE_SHARE 4u

_Static_assert(PCPU_MAX <= TMEM_MAX_CPUS, "the store has a frame for each CPU");
_Static_assert(TMEM_BLOCK_SIZE == BLOCK_SIZE, "the store's unit is the allocator's");
_Static_assert(NODES_MAX <= TMEM_MAX_NODES, "the store has lists for each node");

static uint64_t block_moves;

static const struct config *pool_config;
static struct tmem_client *pools[CONFIG_MAX_POOLS]; /* as pool_config's; constant after the boot */

static void *take_block(void *(*alloc)(uint32_t node))
{
	void *block = NULL;

	if (frames_free_blocks() > STORE_RESERVE_BLOCKS + vms_awaited_blocks())
		block = alloc(platform_node());
	if (block)
		__atomic_fetch_add(&block_moves, 1, __ATOMIC_RELAXED);
	return block;
}

static void *store_block_alloc(void)
{
	return take_block(block_alloc_near);
}

static void *store_block_alloc_here(void)
{
	return take_block(block_alloc_of);
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

static unsigned int store_cpu(void)
{
	return this_cpu()->index;
}

bool store_idle_step(void)
{
	return tmem_idle_step(frames_free_bytes() < frames_total_bytes() / SCARCE_SHARE);
}

int store_make_room(uint64_t blocks, uint64_t spare)
{
	uint64_t there = frames_free_blocks();
	int64_t ret = 0;

	if (there < blocks + spare)
		ret = tmem_relinquish(blocks + spare - there);
	if (ret == 1 || ret == -TIDEPOOL_EAGAIN)
		return 1;
	/* Whether there is enough or no more can be had: what was begun is of no use now. */
	(void)tmem_relinquish(0);
	return there < blocks ? -ENOSPC : 0;
}

int store_init(void)
{
	uint64_t key[COPY_KEY_WORDS];
	struct tmem_host host = {
		.block_alloc = store_block_alloc,
		.block_free = store_block_free,
		.page_get = copy_page_cached,
		.page_equal = copy_page_equal,
		.page_repeats = copy_page_repeats,
		.compress = lz4_compress,
		.decompress = lz4_decompress,
		.relax = store_relax,
		.cpu = store_cpu,
		.cpus = pcpu_count,
		.nodes = frames_nodes(),
		.node = platform_node,
		.node_of = frames_node_of,
		.block_alloc_here = store_block_alloc_here,
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

_Static_assert(CONFIG_MAX_DEDUP_GROUPS == TMEM_DEDUP_GROUPS, "each group has a number");

static uint32_t store_dedup(uint32_t dedup)
{
	if (dedup == CONFIG_DEDUP_OFF)
		return TMEM_DEDUP_OFF;
	if (dedup == CONFIG_DEDUP_ALONE)
		return TMEM_DEDUP_ALONE;
	return TMEM_DEDUP_GROUP + (dedup - CONFIG_DEDUP_GROUP);
}

struct tmem_limits store_limits(uint64_t cap, uint64_t reserve, uint16_t weight, uint32_t dedup)
{
	return (struct tmem_limits){
		.cap = cap == UINT64_MAX ? UINT64_MAX : cap / TMEM_PAGE_SIZE,
		.reserve = (reserve + TMEM_PAGE_SIZE - 1) / TMEM_PAGE_SIZE,
		.weight = weight,
		.dedup = store_dedup(dedup),
	};
}

/* The name's bytes are the words that guests ask with. Returns NULL without memory. */
static struct tmem_client *pool_make(const struct pool_config *config)
{
	const struct tmem_limits limits = store_limits(config->tmem_cap, config->tmem_reserve,
						       config->tmem_weight, CONFIG_DEDUP_ALONE);
	struct tmem_client *account;
	uint64_t name[2];
	int err;

	_Static_assert(sizeof(name) == sizeof(config->name), "a name is a uuid");
	memcpy(name, config->name, sizeof(name));
	account = tmem_shared_create(name, config->persistent, &limits);
	if (!account)
		return NULL;
	do
		err = tmem_client_prepare(account);
	while (err == -TIDEPOOL_EAGAIN);
	if (err == 0)
		return account;
	while (tmem_client_destroy(account) == -TIDEPOOL_EAGAIN)
		continue;
	return NULL;
}

void store_add_pools(const struct config *config)
{
	pool_config = config;
	for (uint32_t i = 0; i < config->pool_count; i++) {
		pools[i] = pool_make(&config->pools[i]);
		if (!pools[i])
			printk("tidepool: pool %s: not made: too little memory\n",
			       config->pools[i].name);
	}
}

void store_grant(struct tmem_client *client, const struct guest_config *guest)
{
	for (uint32_t i = 0; i < guest->grant_count; i++) {
		const struct grant_config *grant = &guest->grants[i];

		/* A client can be granted as many as can be configured. */
		if (pools[grant->pool])
			(void)tmem_shared_grant(client, pools[grant->pool], grant->write);
	}
}

struct tmem_client *store_pool(uint32_t n, const char **name)
{
	if (!pool_config || n >= pool_config->pool_count)
		return NULL;
	*name = pool_config->pools[n].name;
	return pools[n];
}

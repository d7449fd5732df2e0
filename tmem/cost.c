/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/cost.h"
#include "tmem/store.h"

/* In pages copied. */
#define COST_COMPRESS	8u
#define COST_DECOMPRESS 3u

/* Of each CPU, a cache line each. */
static struct {
	uint64_t pages;
} __attribute__((aligned(64))) costs[TMEM_MAX_CPUS];

static void add(uint64_t pages)
{
	uint64_t *sum = &costs[tmem_store.host.cpu()].pages;

	__atomic_store_n(sum, *sum + pages, __ATOMIC_RELAXED);
}

uint32_t tmem_compress(void *dst, uint32_t cap, const void *src)
{
	add(COST_COMPRESS);
	return tmem_store.host.compress(dst, cap, src);
}

void tmem_decompress(void *dst, const void *src, uint32_t size)
{
	add(COST_DECOMPRESS);
	tmem_store.host.decompress(dst, src, size);
}

uint64_t tmem_costs(void)
{
	return __atomic_load_n(&costs[tmem_store.host.cpu()].pages, __ATOMIC_RELAXED);
}

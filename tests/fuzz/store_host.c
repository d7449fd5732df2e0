/* SPDX-License-Identifier: BSD-2-Clause */
#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <string.h>

#include "arch/x86_64/cpu/lz4.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/store_host.h"

static char blocks[FUZZ_HOST_BLOCKS][TMEM_BLOCK_SIZE] __attribute__((aligned(TMEM_BLOCK_SIZE)));
static bool taken[FUZZ_HOST_BLOCKS];
static unsigned int limit, requests;
static uint8_t refused;

/* Not zeroed: the store must not rely on contents, for frames that it uses again have some too. */
static void *block_alloc(void)
{
	unsigned int i;

	if (refused >> requests++ % 8 & 1)
		return NULL;
	for (i = 0; i < limit; i++) {
		if (taken[i])
			continue;
		taken[i] = true;
		ASAN_UNPOISON_MEMORY_REGION(blocks[i], TMEM_BLOCK_SIZE);
		return blocks[i];
	}
	return NULL;
}

static void block_free(void *block)
{
	uint64_t i = (uint64_t)((char *)block - blocks[0]) / TMEM_BLOCK_SIZE;

	check(i < limit && block == blocks[i] && taken[i]);
	taken[i] = false;
	ASAN_POISON_MEMORY_REGION(block, TMEM_BLOCK_SIZE);
}

static void page_copy(void *dst, const void *src)
{
	memcpy(dst, src, TMEM_PAGE_SIZE);
}

static bool page_equal(const void *a, const void *b)
{
	return memcmp(a, b, TMEM_PAGE_SIZE) == 0;
}

static bool page_repeats(const void *page, uint64_t word)
{
	return memcmp(page, &word, sizeof(word)) == 0 &&
	       memcmp(page, (const char *)page + sizeof(word), TMEM_PAGE_SIZE - sizeof(word)) == 0;
}

/* Few fingerprints, so that unequal pages share them too. */
static uint64_t page_put(void *dst, const void *src, const void *next)
{
	(void)next;
	page_copy(dst, src);
	return *(const uint8_t *)dst % 4;
}

/* One thread: a lock that is held stays held. */
static void relax(void)
{
	abort();
}

static unsigned int cpu(void)
{
	return 0;
}

void fuzz_host_start(unsigned int count)
{
	static const struct tmem_host host = {
		.block_alloc = block_alloc,
		.block_free = block_free,
		.page_put = page_put,
		.page_get = page_copy,
		.page_equal = page_equal,
		.page_repeats = page_repeats,
		.compress = lz4_compress,
		.decompress = lz4_decompress,
		.relax = relax,
		.cpu = cpu,
		.cpus = 1,
		.hash_seed = {0x0123456789abcdefull, 0xfedcba9876543210ull},
	};

	limit = count;
	requests = 0;
	refused = 0;
	ASAN_POISON_MEMORY_REGION(blocks, sizeof(blocks));
	check(tmem_init(&host) == 0);
}

void fuzz_host_refuse(uint8_t pattern)
{
	refused = pattern;
}

void fuzz_host_stop(void)
{
	unsigned int i;

	tmem_exit();
	for (i = 0; i < FUZZ_HOST_BLOCKS; i++)
		check(!taken[i]);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "arch/x86_64/cpu/copy.h"
#include "arch/x86_64/cpu/lz4.h"
#include "tests/bench/store_host.h"

#define WORDS (TMEM_PAGE_SIZE / sizeof(uint64_t))

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static struct {
	char *source, *target, *zero, *store;
	uint64_t store_size;
	void *free[HOST_STORE_BLOCKS]; /* blocks that the store does not have */
	unsigned int nr_free;
	bool refuse;
	uint64_t next; /* first byte of a hollow store that was never handed out */
} host;

/* ---- what the store calls -------------------------------------------------------------------- */

static void *block_alloc(void)
{
	unsigned int n = __atomic_load_n(&host.nr_free, __ATOMIC_RELAXED);

	while (n > 0 && !host.refuse)
		if (__atomic_compare_exchange_n(&host.nr_free, &n, n - 1, false, __ATOMIC_SEQ_CST,
						__ATOMIC_RELAXED))
			return host.free[n - 1];
	return NULL;
}

/* No two threads free blocks at once in this benchmark. */
static void block_free(void *block)
{
	host.free[host.nr_free] = block;
	host.nr_free++;
}

static void relax(void)
{
	_mm_pause();
}

/* Each thread stays on one CPU. */
static unsigned int cpu(void)
{
	static unsigned int threads;
	static _Thread_local unsigned int number;

	if (!number)
		number = 1 + __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED) % HOST_CPUS;
	return number - 1;
}

static void *hollow_alloc(void)
{
	void *block = host.store + host.next;

	if (host.next == host.store_size)
		return NULL;
	host.next += TMEM_BLOCK_SIZE;
	return block;
}

static void hollow_free(void *block)
{
	(void)block;
}

static void hollow_copy(void *dst, const void *src)
{
	(void)dst;
	(void)src;
}

static uint64_t hollow_put(void *dst, const void *src, const void *next)
{
	(void)next;
	hollow_copy(dst, src);
	return 0;
}

static struct tmem_host full_host = {
	.block_alloc = block_alloc,
	.block_free = block_free,
	.page_get = copy_page_cached,
	.page_equal = copy_page_equal,
	.page_repeats = copy_page_repeats,
	.compress = lz4_compress,
	.decompress = lz4_decompress,
	.relax = relax,
	.cpu = cpu,
	.cpus = HOST_CPUS,
	.hash_seed = {0x0123456789abcdefull, 0xfedcba9876543210ull},
};

static void store_init(const struct tmem_host *callbacks)
{
	if (tmem_init(callbacks) < 0) {
		fprintf(stderr, "# the store does not start\n");
		exit(1);
	}
}

/* ---- memory ---------------------------------------------------------------------------------- */

void *host_map(uint64_t size, bool now)
{
	uint64_t spare = TMEM_BLOCK_SIZE;
	char *area = mmap(NULL, size + spare, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t misaligned = (uintptr_t)area % TMEM_BLOCK_SIZE;
	uint64_t skip = misaligned ? TMEM_BLOCK_SIZE - misaligned : 0;

	if (area == MAP_FAILED) {
		perror("# mmap");
		exit(1);
	}
	if (skip)
		munmap(area, skip);
	if (spare - skip)
		munmap(area + skip + size, spare - skip);
	if (now) {
		madvise(area + skip, size, MADV_HUGEPAGE);
		memset(area + skip, 1, size);
		memset(area + skip, 0, size);
	}
	return area + skip;
}

void host_unmap(void *area, uint64_t size)
{
	munmap(area, size);
}

/* Contents that no two pages share and that do not compress. */
static void contents_make(uint64_t *words, uint64_t count)
{
	uint64_t x = 0x9e3779b97f4a7c15ull, i;

	for (i = 0; i < count; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[i] = x;
	}
}

void host_start(void)
{
	const uint64_t size = (uint64_t)HOST_PAGES * TMEM_PAGE_SIZE;
	uint64_t key[COPY_KEY_WORDS];

	contents_make(key, COPY_KEY_WORDS);
	host.source = host_map(size, true);
	host.target = host_map(size, true);
	host.zero = host_map((uint64_t)HOST_ZERO_PAGES * TMEM_PAGE_SIZE, true);
	host.store_size = (uint64_t)HOST_STORE_BLOCKS * TMEM_BLOCK_SIZE;
	host.store = host_map(host.store_size, true);
	contents_make((uint64_t *)host.source, HOST_PAGES * WORDS);
	for (host.nr_free = 0; host.nr_free < HOST_STORE_BLOCKS; host.nr_free++)
		host.free[host.nr_free] = host.store + (uint64_t)host.nr_free * TMEM_BLOCK_SIZE;
	full_host.page_put = copy_init(key);
	store_init(&full_host);
}

void host_stop(void)
{
	tmem_exit();
	host_unmap(host.source, (uint64_t)HOST_PAGES * TMEM_PAGE_SIZE);
	host_unmap(host.target, (uint64_t)HOST_PAGES * TMEM_PAGE_SIZE);
	host_unmap(host.zero, (uint64_t)HOST_ZERO_PAGES * TMEM_PAGE_SIZE);
	host_unmap(host.store, host.store_size);
}

void host_refuse(bool refuse)
{
	host.refuse = refuse;
}

void host_start_hollow(uint64_t size)
{
	struct tmem_host callbacks = full_host;

	host.store = host_map(size, false);
	host.store_size = size;
	host.next = 0;
	callbacks.block_alloc = hollow_alloc;
	callbacks.block_free = hollow_free;
	callbacks.page_put = hollow_put;
	callbacks.page_get = hollow_copy;
	store_init(&callbacks);
}

/* A block of metadata has most of its pages; one of page frames has its first only. */
void host_collapse(void)
{
	uint64_t at, failed = 0;

	for (at = 0; at < host.next; at += TMEM_BLOCK_SIZE) {
		unsigned char present[TMEM_BLOCK_SIZE / TMEM_PAGE_SIZE];
		unsigned int i, count = 0;

		if (mincore(host.store + at, TMEM_BLOCK_SIZE, present) < 0)
			continue;
		for (i = 0; i < sizeof(present); i++)
			count += present[i] & 1;
		if (count > sizeof(present) / 2 &&
		    madvise(host.store + at, TMEM_BLOCK_SIZE, MADV_COLLAPSE) < 0)
			failed++;
	}
	if (failed)
		fprintf(stderr, "# %llu blocks of metadata stay in 4 KiB pages\n",
			(unsigned long long)failed);
}

/* ---- the guest's pages ----------------------------------------------------------------------- */

/* A bijection on the numbers below @count, a power of two, without a pattern to prefetch by. */
static uint64_t scatter(uint64_t n, uint64_t count)
{
	n &= count - 1;
	n = (n ^ n >> 7) * 0x9e3779b1u & (count - 1);
	n = (n ^ n >> 9) * 0x85ebca77u & (count - 1);
	return n ^ n >> 8;
}

void *host_source(uint64_t n)
{
	return host.source + scatter(n, HOST_PAGES) * TMEM_PAGE_SIZE;
}

void *host_target(uint64_t n)
{
	return host.target + scatter(n + HOST_PAGES / 3, HOST_PAGES) * TMEM_PAGE_SIZE;
}

void *host_zero(uint64_t n)
{
	return host.zero + scatter(n, HOST_ZERO_PAGES) * TMEM_PAGE_SIZE;
}

/* Half the order away from what the measured operations use. */
void host_copy(uint64_t n)
{
	void *dst = host_target(n + HOST_PAGES / 2);
	const void *src = host_source(n + HOST_PAGES / 2);
	uint64_t count = TMEM_PAGE_SIZE;

	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(count) : : "memory");
}

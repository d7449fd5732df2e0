/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/x86_64/cpu/lz4.h"
#include "tests/unit/model_host.h"
#include "tmem/hash.h"

#define GARBAGE_BYTES 0x5a
#define GARBAGE_PAGES 64u /* of each block: all of them would take the tests' time */

struct model_host model_host;

static const uint64_t model_seed[2];
static uint64_t random_state;

void model_random_seed(uint64_t seed)
{
	random_state = seed;
}

uint64_t model_random(void)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* The store must not rely on zeroes: a frame that it uses again has none either. */
static void *block_alloc(void)
{
	uint64_t live = __atomic_add_fetch(&model_host.live, 1, __ATOMIC_SEQ_CST);
	uintptr_t start, block;
	void *area;

	if (live > model_host.limit ||
	    (model_host.fail_in && model_random() % model_host.fail_in == 0)) {
		__atomic_sub_fetch(&model_host.live, 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&model_host.failures, 1, __ATOMIC_SEQ_CST);
		return NULL;
	}
	area = mmap(NULL, 2 * TMEM_BLOCK_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(area, MAP_FAILED);
	start = (uintptr_t)area;
	block = (start + TMEM_BLOCK_SIZE - 1) & ~(uintptr_t)(TMEM_BLOCK_SIZE - 1);
	if (block > start)
		munmap(area, block - start);
	munmap((void *)(block + TMEM_BLOCK_SIZE), start + TMEM_BLOCK_SIZE - block);
	memset((void *)block, GARBAGE_BYTES, GARBAGE_PAGES * TMEM_PAGE_SIZE);
	return (void *)block;
}

/* A block that was not handed out faults here, and one that is used afterwards does there. */
static void block_free(void *block)
{
	assert_int_equal((uintptr_t)block % TMEM_BLOCK_SIZE, 0);
	*(volatile char *)block = 0;
	assert_int_equal(munmap(block, TMEM_BLOCK_SIZE), 0);
	__atomic_sub_fetch(&model_host.live, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&model_host.freed, 1, __ATOMIC_SEQ_CST);
}

static void page_copy(void *dst, const void *src)
{
	__atomic_add_fetch(&model_host.copies, 1, __ATOMIC_RELAXED);
	if (model_host.on_copy)
		model_host.on_copy();
	memcpy(dst, src, TMEM_PAGE_SIZE);
}

static bool page_equal(const void *a, const void *b)
{
	__atomic_add_fetch(&model_host.compared, 1, __ATOMIC_RELAXED);
	return memcmp(a, b, TMEM_PAGE_SIZE) == 0;
}

static bool page_repeats(const void *page, uint64_t word)
{
	return memcmp(page, &word, sizeof(word)) == 0 &&
	       memcmp(page, (const char *)page + sizeof(word), TMEM_PAGE_SIZE - sizeof(word)) == 0;
}

/* By way of copies: the sanitizers see these, and not what the library reads and writes. */
static uint32_t compress(void *dst, uint32_t cap, const void *src)
{
	unsigned char page[TMEM_PAGE_SIZE], blob[TMEM_PAGE_SIZE];
	uint32_t size;

	memcpy(page, src, sizeof(page));
	size = cap <= sizeof(blob) ? lz4_compress(blob, cap, page) : 0;
	memcpy(dst, blob, size);
	__atomic_add_fetch(&model_host.compressed, 1, __ATOMIC_RELAXED);
	return size;
}

static void decompress(void *dst, const void *src, uint32_t size)
{
	unsigned char page[TMEM_PAGE_SIZE], blob[TMEM_PAGE_SIZE];

	assert_in_range(size, 1, sizeof(blob));
	memcpy(blob, src, size);
	lz4_decompress(page, blob, size);
	memcpy(dst, page, sizeof(page));
	__atomic_add_fetch(&model_host.decompressed, 1, __ATOMIC_RELAXED);
}

/* A prefetch does not tell whether memory is there: this does. */
static uint64_t page_put(void *dst, const void *src, const void *next)
{
	if (next)
		(void)*(const volatile char *)next;
	__atomic_store_n(&model_host.next, next, __ATOMIC_RELAXED);
	page_copy(dst, src);
	if (model_host.hash)
		return model_host.hash(dst);
	return tmem_hash_words(model_seed, dst, TMEM_PAGE_SIZE / sizeof(uint64_t));
}

static void relax(void)
{
	if (model_host.on_relax)
		model_host.on_relax();
	sched_yield();
}

/* Threads are CPUs: as many as there are at once have numbers of their own. */
static unsigned int cpu(void)
{
	static unsigned int threads;
	static _Thread_local unsigned int number;

	if (!number)
		number = 1 + __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED) % MODEL_HOST_CPUS;
	return number - 1;
}

const struct tmem_host model_host_calls = {
	.block_alloc = block_alloc,
	.block_free = block_free,
	.page_put = page_put,
	.page_get = page_copy,
	.page_equal = page_equal,
	.page_repeats = page_repeats,
	.compress = compress,
	.decompress = decompress,
	.relax = relax,
	.cpu = cpu,
	.cpus = MODEL_HOST_CPUS,
	.hash_seed = {0x0123456789abcdefull, 0xfedcba9876543210ull},
};

int model_host_start_with(const struct tmem_host *host, uint64_t limit)
{
	memset(&model_host, 0, sizeof(model_host));
	model_host.limit = limit;
	return tmem_init(host);
}

int model_host_start(uint64_t limit)
{
	return model_host_start_with(&model_host_calls, limit);
}

void model_host_stop(void)
{
	tmem_exit();
	assert_int_equal(model_host.live, 0);
}

void model_host_narrow(uint64_t seed)
{
	if (seed % 2)
		model_host.limit = 2 + model_random() % 12;
	if (seed % 3 == 0)
		model_host.fail_in = 2 + model_random() % 4;
}

static struct {
	uint64_t count;
	void (*run)(uint64_t seed);
} rounds;

static void test_random_calls(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 0; seed < rounds.count; seed++)
		rounds.run(seed);
}

int model_rounds(uint64_t count, void (*round)(uint64_t seed))
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_calls),
	};

	rounds.count = count;
	rounds.run = round;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

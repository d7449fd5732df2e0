/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest puts several times as many pages as its "tmem=" has room for: they are kept compressed.
 * The library that does it uses vector registers and FS, which are the guest's, and all of these
 * are checked around each call.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define PAGES_DEFAULT 1000
#define WORDS	      (TIDEPOOL_PAGE_SIZE / 8)
#define REGISTERS     16
#define MSR_FS_BASE   0xc0000100u
#define CR4_OSFXSR    0x200ull
#define CR0_EM_TS     0xcull

const char test_name[] = "compress";

struct vector {
	uint64_t words[2];
} __attribute__((aligned(16)));

static struct vector expected[REGISTERS], found[REGISTERS];
static uint64_t page[WORDS] __attribute__((aligned(4096)));
static uint64_t got[WORDS] __attribute__((aligned(4096)));

/* The compiler uses none of these registers (-mgeneral-regs-only), so they keep what is loaded. */
#define EACH_REGISTER(op)                                                                          \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13)    \
		op(14) op(15)
#define LOAD(n)	 __asm__ volatile("movaps %0, %%xmm" #n : : "m"(expected[n]));
#define STORE(n) __asm__ volatile("movaps %%xmm" #n ", %0" : "=m"(found[n]));

/* A sixteenth of a page that does not repeat, and the number all over the rest. */
static void fill(uint64_t number)
{
	uint64_t state = number * 0x9e3779b97f4a7c15 + 1;

	for (size_t i = 0; i < WORDS; i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		page[i] = i % 16 ? number : state;
	}
}

/* An address of user space, the kernel's, none, by turns. */
static uint64_t fs_base(uint64_t number)
{
	static const uint64_t bases[] = {0x7f1234567000, 0xffff888000001000, 0};

	return bases[number % 3];
}

static void registers_load(uint64_t number)
{
	for (size_t i = 0; i < REGISTERS; i++)
		expected[i].words[0] = expected[i].words[1] = (number + i + 1) * 0x0101010101010101;
	CHECK(wrmsr_safe(MSR_FS_BASE, fs_base(number)) == NO_VECTOR, "FS base cannot be written");
	EACH_REGISTER(LOAD)
}

static void registers_check(uint64_t number, const char *call)
{
	uint64_t base = 1;

	EACH_REGISTER(STORE)
	CHECK(memcmp(found, expected, sizeof(found)) == 0,
	      "%s of page %lu: a vector register has changed", call, number);
	CHECK(rdmsr_safe(MSR_FS_BASE, &base) == NO_VECTOR && base == fs_base(number),
	      "%s of page %lu: FS base has become %lx", call, number, base);
}

void test_main(void)
{
	uint64_t pages = cmdline_number("pages=", PAGES_DEFAULT), cr0, cr4;
	int64_t pool;

	tidepool_require();
	__asm__ volatile("movq %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("movq %0, %%cr0" : : "r"(cr0 & ~CR0_EM_TS));
	__asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("movq %0, %%cr4" : : "r"(cr4 | CR4_OSFXSR));
	pool = pool_new(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION);
	CHECK(pool >= 0, "new pool: %ld", pool);
	for (uint64_t i = 0; i < pages; i++) {
		struct page_key key = {{1, 2, 3}, i};
		int64_t err;

		fill(i);
		registers_load(i);
		err = page_put((uint64_t)pool, &key, page);
		registers_check(i, "put");
		CHECK(err == 0, "put of page %lu: %ld", i, err);
	}
	for (uint64_t i = 0; i < pages; i++) {
		struct page_key key = {{1, 2, 3}, i};
		int64_t err;

		registers_load(i);
		err = page_get((uint64_t)pool, &key, got);
		registers_check(i, "get");
		fill(i);
		CHECK(err == 0, "get of page %lu: %ld", i, err);
		CHECK(memcmp(got, page, sizeof(page)) == 0, "page %lu has changed", i);
	}
}

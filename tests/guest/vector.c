/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vector registers are the guest's alone: they keep their values across hypercalls (the store
 * copies with vector instructions) and while other guests run on the same CPU. Start it several
 * times with different "seed=" words.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define CR0_EM		      0x4ull
#define CR0_TS		      0x8ull
#define CR0_MP		      0x2ull
#define CR4_OSFXSR	      0x200ull
#define CR4_OSXMMEXCPT	      0x400ull
#define CR4_OSXSAVE	      0x40000ull
#define XCR0_X87_SSE_AVX      7u
#define CPUID_1_ECX_AVX_XSAVE (1u << 28 | 1u << 26)
#define REGISTERS	      16
#define MXCSR_OURS	      0x5f80u /* rounds upwards */
#define ROUND_TICKS	      20000000ull
#define ROUNDS_DEFAULT	      10
#define CALLS_PER_CHECK	      8

const char test_name[] = "vector";

struct vector {
	uint64_t words[4]; /* XMM: the first two */
} __attribute__((aligned(32)));

static struct vector expected[REGISTERS], found[REGISTERS];
static uint8_t page[TIDEPOOL_PAGE_SIZE] __attribute__((aligned(4096)));

static bool wide; /* the registers are YMM0 to YMM15, else XMM0 to XMM15 */

static void enable_vectors(void)
{
	uint64_t cr0, cr4;
	uint32_t mxcsr = MXCSR_OURS;

	__asm__ volatile("movq %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("movq %0, %%cr0" : : "r"((cr0 & ~(CR0_EM | CR0_TS)) | CR0_MP));
	__asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("movq %0, %%cr4" : : "r"(cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT));
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	if (!wide)
		return;
	__asm__ volatile("movq %0, %%cr4" : : "r"(cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE));
	__asm__ volatile("xsetbv" : : "c"(0), "a"(XCR0_X87_SSE_AVX), "d"(0));
}

/* The compiler uses none of these registers (-mgeneral-regs-only), so they keep what is loaded. */
#define EACH_REGISTER(op)                                                                          \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13)    \
		op(14) op(15)
#define LOAD_XMM(n)  __asm__ volatile("movaps %0, %%xmm" #n : : "m"(expected[n]));
#define LOAD_YMM(n)  __asm__ volatile("vmovaps %0, %%ymm" #n : : "m"(expected[n]));
#define STORE_XMM(n) __asm__ volatile("movaps %%xmm" #n ", %0" : "=m"(found[n]));
#define STORE_YMM(n) __asm__ volatile("vmovaps %%ymm" #n ", %0" : "=m"(found[n]));

static void load_registers(void)
{
	if (wide) {
		EACH_REGISTER(LOAD_YMM)
	} else {
		EACH_REGISTER(LOAD_XMM)
	}
}

static bool registers_are_ours(void)
{
	uint32_t mxcsr;

	if (wide) {
		EACH_REGISTER(STORE_YMM)
	} else {
		EACH_REGISTER(STORE_XMM)
	}
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	return memcmp(found, expected, sizeof(expected)) == 0 && mxcsr == MXCSR_OURS;
}

/* Puts and gets a page: the host's copy loops run. */
static void call_store(uint64_t pool, uint64_t index)
{
	const struct page_key key = {{1, 1, 1}, index % CALLS_PER_CHECK};

	CHECK_EQ(page_put(pool, &key, page), 0, "put");
	CHECK_EQ(page_get(pool, &key, page), 0, "get");
}

void test_main(void)
{
	uint64_t rounds = cmdline_number("rounds=", ROUNDS_DEFAULT);
	uint64_t seed = cmdline_number("seed=", 1);
	bool tidepool = tidepool_base() != 0;
	int64_t pool = 0;

	if (tidepool)
		pool = pool_new(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION);
	else
		test_skip("this is no guest of Tidepool: nobody to disturb the registers");
	CHECK(pool >= 0, "new pool: %ld", pool);
	wide = (cpuid(1, 0).ecx & CPUID_1_ECX_AVX_XSAVE) == CPUID_1_ECX_AVX_XSAVE;
	for (size_t i = 0; i < REGISTERS; i++) {
		for (size_t j = 0; j < (wide ? 4 : 2); j++)
			expected[i].words[j] = (seed * 64 + i * 4 + j + 1) * 0x0101010101010101;
	}
	enable_vectors();
	load_registers();
	for (uint64_t round = 0; round < rounds; round++) {
		uint64_t start = rdtsc(), calls = 0;

		while (rdtsc() - start < ROUND_TICKS) {
			if (tidepool && calls < CALLS_PER_CHECK)
				call_store((uint64_t)pool, calls++);
			if (registers_are_ours())
				continue;
			test_failure("round %lu, call %lu: a vector register has changed", round,
				     calls);
			return;
		}
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages through LZ4: the same bytes, none beside, what does not fit, and the vector registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "arch/x86_64/cpu/lz4.h"

#define PAGE	  LZ4_PAGE_SIZE
#define XMM_BYTES (16u * 16u)
#define BEYOND	  0xee

static unsigned char source[PAGE], target[PAGE + 1], blob[PAGE + 1];
static uint64_t dice = 1;

static unsigned char roll(void)
{
	dice = dice * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned char)(dice >> 56);
}

/* The first @random bytes have no pattern, the others one of eight bytes. */
static void source_make(unsigned int random)
{
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		source[i] = i < random ? roll() : (unsigned char)(i % 8);
}

/* Also: no byte of one page shows in the next, although the CPU's state is not cleared between. */
static void test_there_and_back(void **state)
{
	unsigned int random;

	(void)state;
	for (random = 0; random <= 3500; random += 7) {
		uint32_t size;

		source_make(random);
		memset(blob, BEYOND, sizeof(blob));
		memset(target, BEYOND, sizeof(target));
		size = lz4_compress(blob, PAGE, source);
		assert_in_range(size, 1, random + 100);
		assert_int_equal(blob[size], BEYOND);
		lz4_decompress(target, blob, size);
		assert_memory_equal(target, source, PAGE);
		assert_int_equal(target[PAGE], BEYOND);
	}
}

static void test_too_big(void **state)
{
	uint32_t size;

	(void)state;
	source_make(PAGE);
	memset(blob, BEYOND, sizeof(blob));
	assert_int_equal(lz4_compress(blob, 3584, source), 0);
	assert_int_equal(blob[3584], BEYOND);
	source_make(2000);
	size = lz4_compress(blob, PAGE, source);
	memset(blob, BEYOND, sizeof(blob));
	assert_int_equal(lz4_compress(blob, size - 1, source), 0);
	assert_int_equal(blob[size - 1], BEYOND);
	assert_int_equal(lz4_compress(blob, size, source), size);
}

static void compress_some(void)
{
	lz4_compress(blob, PAGE, source);
}

static void decompress_some(void)
{
	lz4_decompress(target, blob, lz4_compress(blob, PAGE, source));
}

#define LOAD(n)	 "movdqu " #n "*16(%[in]), %%xmm" #n "\n\t"
#define STORE(n) "movdqu %%xmm" #n ", " #n "*16(%[out])\n\t"
#define ALL(OP)                                                                                    \
	OP(0)                                                                                      \
	OP(1)                                                                                      \
	OP(2) OP(3) OP(4) OP(5) OP(6) OP(7) OP(8) OP(9) OP(10) OP(11) OP(12) OP(13) OP(14) OP(15)

static void registers_check(void (*call)(void))
{
	unsigned char in[XMM_BYTES], out[XMM_BYTES];
	unsigned int i;

	for (i = 0; i < XMM_BYTES; i++)
		in[i] = (unsigned char)(i + 1);
	__asm__ volatile(ALL(LOAD) "mov %%rsp, %%r12\n\t"
				   "sub $256, %%rsp\n\t" /* past a red zone */
				   "and $-16, %%rsp\n\t"
				   "call *%[call]\n\t"
				   "mov %%r12, %%rsp\n\t" ALL(STORE)
			 :
			 : [in] "b"(in), [out] "r"(out), [call] "r"(call)
			 : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
			   "r11", "r12", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15");
	assert_memory_equal(in, out, XMM_BYTES);
}

/* A guest's registers are live while the hypervisor works for it. */
static void test_registers_are_kept(void **state)
{
	(void)state;
	source_make(1000);
	registers_check(compress_some);
	registers_check(decompress_some);
	assert_memory_equal(target, source, PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_registers_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The page copies: every byte, no byte beside, and no vector register changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "arch/x86_64/cpu/copy.h"

#define PAGE	  4096u
#define XMM_BYTES (16u * 16u)

static unsigned char source[PAGE] __attribute__((aligned(PAGE)));
static unsigned char target[3 * PAGE] __attribute__((aligned(PAGE)));

static void copy_check(void (*copy)(void *dst, const void *src))
{
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		source[i] = (unsigned char)(i * 7 + i / 256);
	memset(target, 0xee, sizeof(target));
	copy(target + PAGE, source);
	assert_memory_equal(target + PAGE, source, PAGE);
	for (i = 0; i < PAGE; i++) {
		assert_int_equal(target[i], 0xee);
		assert_int_equal(target[2 * PAGE + i], 0xee);
		assert_int_equal(source[i], (unsigned char)(i * 7 + i / 256));
	}
}

static void test_past_cache(void **state)
{
	(void)state;
	copy_check(copy_page_past_cache);
}

static void test_cached(void **state)
{
	(void)state;
	copy_check(copy_page_cached);
}

#define LOAD(n)	 "movdqu " #n "*16(%[in]), %%xmm" #n "\n\t"
#define STORE(n) "movdqu %%xmm" #n ", " #n "*16(%[out])\n\t"
#define ALL(OP)                                                                                    \
	OP(0)                                                                                      \
	OP(1)                                                                                      \
	OP(2) OP(3) OP(4) OP(5) OP(6) OP(7) OP(8) OP(9) OP(10) OP(11) OP(12) OP(13) OP(14) OP(15)

/* A guest's registers are live while the hypervisor copies for it. */
static void test_registers_are_kept(void **state)
{
	unsigned char in[XMM_BYTES], out[XMM_BYTES];
	unsigned int i;

	(void)state;
	for (i = 0; i < XMM_BYTES; i++)
		in[i] = (unsigned char)(i + 1);
	__asm__ volatile(ALL(LOAD) "mov %[dst], %%rdi\n\t"
				   "mov %[src], %%rsi\n\t"
				   "mov %%rsp, %%r12\n\t"
				   "sub $256, %%rsp\n\t" /* past a red zone */
				   "and $-16, %%rsp\n\t"
				   "call copy_page_past_cache\n\t"
				   "mov %%r12, %%rsp\n\t" ALL(STORE)
			 :
			 : [in] "b"(in), [out] "r"(out), [dst] "r"(target), [src] "r"(source)
			 : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
			   "r11", "r12", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15");
	assert_memory_equal(in, out, XMM_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_past_cache),
		cmocka_unit_test(test_cached),
		cmocka_unit_test(test_registers_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

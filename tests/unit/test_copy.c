/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page copies: every byte, no byte beside, and no vector register changed; the fingerprints and
 * the comparison tell pages apart by any bit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/cpu/copy.h"

#define PAGE	  4096u
#define XMM_BYTES (16u * 16u)

static unsigned char source[PAGE] __attribute__((aligned(PAGE)));
static unsigned char target[3 * PAGE] __attribute__((aligned(PAGE)));

static const uint64_t key[COPY_KEY_WORDS] = {
	0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89,
	0x452821e638d01377, 0xbe5466cf34e90c6c, 0xc0ac29b7c97c50dd, 0x3f84d5b5b5470917,
};
static const uint64_t other_key[COPY_KEY_WORDS] = {1, 2, 3, 4, 5, 6, 7, 8};

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

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

static void copy_aes(void *dst, const void *src)
{
	(void)copy_page_hashed_aes(dst, src, NULL);
}

static void copy_plain(void *dst, const void *src)
{
	(void)copy_page_hashed_plain(dst, src, NULL);
}

/* What comes next may be anywhere, and counts for nothing. */
static void copy_aes_then(void *dst, const void *src)
{
	assert_true(copy_page_hashed_aes(dst, src, source + PAGE) ==
		    copy_page_hashed_aes(dst, src, NULL));
}

static void copy_plain_then(void *dst, const void *src)
{
	assert_true(copy_page_hashed_plain(dst, src, source + PAGE) ==
		    copy_page_hashed_plain(dst, src, NULL));
}

static void test_past_cache(void **state)
{
	(void)state;
	copy_check(copy_aes);
	copy_check(copy_plain);
	copy_check(copy_aes_then);
	copy_check(copy_plain_then);
}

static void test_cached(void **state)
{
	(void)state;
	copy_check(copy_page_cached);
}

/* The processor that runs the tests has AES-NI, as the boot tests' emulators have. */
static void test_the_fastest_is_chosen(void **state)
{
	(void)state;
	assert_ptr_equal(copy_init(key), copy_page_hashed_aes);
}

/*
 * The fingerprint is the page's, wherever it is; any bit changes it, and so do the order of words
 * and the key. Of fingerprints of pages that differ in a bit no two are alike.
 */
static void hash_check(copy_page_hashed_fn hashed)
{
	static uint64_t seen[PAGE * 8];
	uint64_t hash, swapped, *words = (uint64_t *)(void *)source;
	unsigned int bit, i;

	copy_init(key);
	for (i = 0; i < PAGE; i++)
		source[i] = (unsigned char)(i * 7 + i / 256);
	hash = hashed(target, source, NULL);
	assert_true(hash == hashed(target + PAGE, source, NULL));
	assert_true(hash == hashed(target + PAGE, target, NULL));
	for (bit = 0; bit < PAGE * 8; bit++) {
		source[bit / 8] ^= (unsigned char)(1u << bit % 8);
		seen[bit] = hashed(target, source, NULL);
		source[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_false(seen[bit] == hash);
	}
	qsort(seen, PAGE * 8, sizeof(*seen), by_value);
	for (bit = 1; bit < PAGE * 8; bit++)
		assert_false(seen[bit] == seen[bit - 1]);

	swapped = words[8];
	words[8] = words[16];
	words[16] = swapped;
	assert_false(hashed(target, source, NULL) == hash);
	words[16] = words[8];
	words[8] = swapped;
	assert_true(hashed(target, source, NULL) == hash);
	copy_init(other_key);
	assert_false(hashed(target, source, NULL) == hash);
}

static void test_fingerprints(void **state)
{
	(void)state;
	hash_check(copy_page_hashed_aes);
	hash_check(copy_page_hashed_plain);
}

/* Sparse pages, which are many: one small number somewhere in zeroes. */
static void sparse_check(copy_page_hashed_fn hashed)
{
	static uint64_t seen[PAGE / 8 * 16];
	uint64_t *words = (uint64_t *)(void *)source;
	unsigned int i, count = 0;

	copy_init(key);
	memset(source, 0, PAGE);
	for (i = 0; i < PAGE / 8; i++) {
		for (words[i] = 1; words[i] <= 16; words[i]++)
			seen[count++] = hashed(target, source, NULL);
		words[i] = 0;
	}
	qsort(seen, count, sizeof(*seen), by_value);
	for (i = 1; i < count; i++)
		assert_false(seen[i] == seen[i - 1]);
}

static void test_fingerprints_of_sparse_pages(void **state)
{
	(void)state;
	sparse_check(copy_page_hashed_aes);
	sparse_check(copy_page_hashed_plain);
}

/* A bit anywhere tells two pages apart. */
static void test_equal(void **state)
{
	unsigned int bit;

	(void)state;
	memcpy(target, source, PAGE);
	assert_true(copy_page_equal(target, source));
	assert_true(copy_page_equal(source, source));
	for (bit = 0; bit < PAGE * 8; bit++) {
		target[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_false(copy_page_equal(target, source));
		assert_false(copy_page_equal(source, target));
		target[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	assert_true(copy_page_equal(target, source));
}

/* Every word repeats, if all do; a bit anywhere, and the other half of a word, tell. */
static void test_repeats(void **state)
{
	static const uint64_t words[] = {0, UINT64_MAX, 0x0123456789abcdef};
	uint64_t *page = (uint64_t *)(void *)target;
	unsigned int i, bit;

	(void)state;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		for (bit = 0; bit < PAGE / 8; bit++)
			page[bit] = words[i];
		assert_true(copy_page_repeats(page, words[i]));
		assert_false(copy_page_repeats(page, words[i] ^ 1));
		assert_false(copy_page_repeats(page, words[i] ^ 1ull << 63));
		for (bit = 0; bit < PAGE * 8; bit++) {
			target[bit / 8] ^= (unsigned char)(1u << bit % 8);
			assert_false(copy_page_repeats(page, words[i]));
			target[bit / 8] ^= (unsigned char)(1u << bit % 8);
		}
	}
}

#define LOAD(n)	 "movdqu " #n "*16(%[in]), %%xmm" #n "\n\t"
#define STORE(n) "movdqu %%xmm" #n ", " #n "*16(%[out])\n\t"
#define ALL(OP)                                                                                    \
	OP(0)                                                                                      \
	OP(1)                                                                                      \
	OP(2) OP(3) OP(4) OP(5) OP(6) OP(7) OP(8) OP(9) OP(10) OP(11) OP(12) OP(13) OP(14) OP(15)

/*
 * A guest's registers are live while the hypervisor copies for it. Defines keeps_NAME(): call NAME
 * with registers of known contents and see that they come out as they went in.
 */
#define KEEPS(name)                                                                                \
	static void keeps_##name(void)                                                             \
	{                                                                                          \
		unsigned char in[XMM_BYTES], out[XMM_BYTES];                                       \
		unsigned int i;                                                                    \
                                                                                                   \
		for (i = 0; i < XMM_BYTES; i++)                                                    \
			in[i] = (unsigned char)(i + 1);                                            \
		__asm__ volatile(                                                                  \
			ALL(LOAD) "mov %[dst], %%rdi\n\t"                                          \
				  "mov %[src], %%rsi\n\t"                                          \
				  "xor %%edx, %%edx\n\t"                                           \
				  "mov %%rsp, %%r12\n\t"                                           \
				  "sub $256, %%rsp\n\t" /* past a red zone */                      \
				  "and $-16, %%rsp\n\t"                                            \
				  "call " #name "\n\t"                                             \
				  "mov %%r12, %%rsp\n\t" ALL(STORE)                                \
			:                                                                          \
			: [in] "b"(in), [out] "r"(out), [dst] "r"(target), [src] "r"(source)       \
			: "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",    \
			  "r11", "r12", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",    \
			  "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",     \
			  "xmm15");                                                                \
		assert_memory_equal(in, out, XMM_BYTES);                                           \
	}

KEEPS(copy_page_hashed_aes)
KEEPS(copy_page_hashed_plain)
KEEPS(copy_page_equal)
KEEPS(copy_page_repeats)

static void test_registers_are_kept(void **state)
{
	(void)state;
	keeps_copy_page_hashed_aes();
	keeps_copy_page_hashed_plain();
	keeps_copy_page_equal(); /* of equal pages, and then of others */
	target[0] ^= 1;
	keeps_copy_page_equal();
	keeps_copy_page_repeats();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_past_cache),
		cmocka_unit_test(test_cached),
		cmocka_unit_test(test_the_fastest_is_chosen),
		cmocka_unit_test(test_fingerprints),
		cmocka_unit_test(test_fingerprints_of_sparse_pages),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_registers_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

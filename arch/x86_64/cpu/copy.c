/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying whole pages
 *
 * The hypervisor is compiled for general registers only, so that guests' vector registers need
 * not be switched on an exit. These leaves use a few of them and save those few by hand, some
 * nanoseconds where XSAVE takes a hundred. SSE2 is part of x86-64: there is no CPU to fall back
 * for. Wider registers would copy faster still, but a VEX instruction clears or keeps the upper
 * halves by rules of its own, and their saving needs XCR0.
 *
 * Documents: SDM vol. 1, "Caching of temporal vs. non-temporal data"; vol. 2, MOVNTDQ, MOVNTI,
 * SFENCE and AESENC.
 */
#include "arch/x86_64/cpu/copy.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/memory.h"

#define COPY_PAGE_SIZE 4096u
#define WORDS	       (COPY_PAGE_SIZE / sizeof(uint64_t))
#define XMM_SIZE       16u

#define SAVE_4                                                                                     \
	"movaps %%xmm0, 0x00(%[saved])\n\t"                                                        \
	"movaps %%xmm1, 0x10(%[saved])\n\t"                                                        \
	"movaps %%xmm2, 0x20(%[saved])\n\t"                                                        \
	"movaps %%xmm3, 0x30(%[saved])\n\t"
#define SAVE_8                                                                                     \
	SAVE_4                                                                                     \
	"movaps %%xmm4, 0x40(%[saved])\n\t"                                                        \
	"movaps %%xmm5, 0x50(%[saved])\n\t"                                                        \
	"movaps %%xmm6, 0x60(%[saved])\n\t"                                                        \
	"movaps %%xmm7, 0x70(%[saved])\n\t"
#define RESTORE_4                                                                                  \
	"movaps 0x00(%[saved]), %%xmm0\n\t"                                                        \
	"movaps 0x10(%[saved]), %%xmm1\n\t"                                                        \
	"movaps 0x20(%[saved]), %%xmm2\n\t"                                                        \
	"movaps 0x30(%[saved]), %%xmm3\n\t"
#define RESTORE_8                                                                                  \
	RESTORE_4                                                                                  \
	"movaps 0x40(%[saved]), %%xmm4\n\t"                                                        \
	"movaps 0x50(%[saved]), %%xmm5\n\t"                                                        \
	"movaps 0x60(%[saved]), %%xmm6\n\t"                                                        \
	"movaps 0x70(%[saved]), %%xmm7\n\t"

/* Whether xmm0 to xmm3 are all ones: in @alike, and in the flags. */
#define ALL_ALIKE                                                                                  \
	"pand %%xmm1, %%xmm0\n\t"                                                                  \
	"pand %%xmm3, %%xmm2\n\t"                                                                  \
	"pand %%xmm2, %%xmm0\n\t"                                                                  \
	"pmovmskb %%xmm0, %[alike]\n\t"                                                            \
	"cmp $0xffff, %[alike]\n\t"

static uint64_t hash_key[COPY_KEY_WORDS] __attribute__((aligned(XMM_SIZE)));

copy_page_hashed_fn copy_init(const uint64_t key[COPY_KEY_WORDS])
{
	unsigned int i;

	for (i = 0; i < COPY_KEY_WORDS; i++)
		hash_key[i] = key[i];
	return cpuid_ecx(1, 0) & CPUID_1_ECX_AES ? copy_page_hashed_aes : copy_page_hashed_plain;
}

/*
 * Four lanes take 16 bytes of each line, as the round key of one AES round. What a lane took is
 * mixed by the rounds that follow. Three rounds under the key follow the last, so that a lane's
 * last bytes are spread over the whole of it before the lanes meet: a byte that is one round old
 * in one lane could else look like one that is two rounds old in another.
 */
uint64_t copy_page_hashed_aes(void *dst, const void *src, const void *next)
{
	unsigned char saved[8 * XMM_SIZE] __attribute__((aligned(XMM_SIZE)));
	const char *end = (const char *)src + COPY_PAGE_SIZE;
	/* A line is asked for each time; without a next page, one that is on its way anyway. */
	const void *ahead = next ? next : src;
	uint64_t hash;

	__asm__ volatile(SAVE_8 "movdqa 0x00(%[key]), %%xmm4\n\t"
				"movdqa 0x10(%[key]), %%xmm5\n\t"
				"movdqa 0x20(%[key]), %%xmm6\n\t"
				"movdqa 0x30(%[key]), %%xmm7\n"
				"1:\n\t"
				"prefetcht0 (%[ahead])\n\t"
				"movdqa 0x00(%[src]), %%xmm0\n\t"
				"movdqa 0x10(%[src]), %%xmm1\n\t"
				"movdqa 0x20(%[src]), %%xmm2\n\t"
				"movdqa 0x30(%[src]), %%xmm3\n\t"
				"movntdq %%xmm0, 0x00(%[dst])\n\t"
				"movntdq %%xmm1, 0x10(%[dst])\n\t"
				"movntdq %%xmm2, 0x20(%[dst])\n\t"
				"movntdq %%xmm3, 0x30(%[dst])\n\t"
				"aesenc %%xmm0, %%xmm4\n\t"
				"aesenc %%xmm1, %%xmm5\n\t"
				"aesenc %%xmm2, %%xmm6\n\t"
				"aesenc %%xmm3, %%xmm7\n\t"
				"add $0x40, %[src]\n\t"
				"add $0x40, %[dst]\n\t"
				"add $0x40, %[ahead]\n\t"
				"cmp %[end], %[src]\n\t"
				"jne 1b\n\t"
				"sfence\n\t"
				"aesenc 0x00(%[key]), %%xmm4\n\t"
				"aesenc 0x00(%[key]), %%xmm5\n\t"
				"aesenc 0x00(%[key]), %%xmm6\n\t"
				"aesenc 0x00(%[key]), %%xmm7\n\t"
				"aesenc 0x10(%[key]), %%xmm4\n\t"
				"aesenc 0x10(%[key]), %%xmm5\n\t"
				"aesenc 0x10(%[key]), %%xmm6\n\t"
				"aesenc 0x10(%[key]), %%xmm7\n\t"
				"aesenc 0x20(%[key]), %%xmm4\n\t"
				"aesenc 0x20(%[key]), %%xmm5\n\t"
				"aesenc 0x20(%[key]), %%xmm6\n\t"
				"aesenc 0x20(%[key]), %%xmm7\n\t"
				"aesenc %%xmm5, %%xmm4\n\t"
				"aesenc %%xmm7, %%xmm6\n\t"
				"aesenc %%xmm6, %%xmm4\n\t"
				"aesenc 0x30(%[key]), %%xmm4\n\t"
				"movq %%xmm4, %[hash]\n\t" RESTORE_8
			 : [src] "+r"(src), [dst] "+r"(dst), [ahead] "+r"(ahead), [hash] "=&r"(hash)
			 : [saved] "r"(saved), [end] "r"(end), [key] "r"(hash_key)
			 : "memory", "cc");
	return hash;
}

static void store_past_cache(uint64_t *at, uint64_t value)
{
	__asm__ volatile("movnti %[value], %[at]" : [at] "=m"(*at) : [value] "r"(value));
}

/* Both halves of a product: each bit of it depends on many of both factors. */
static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * Store two words past the caches and mix them into a lane. volatile: each is read once.
 * @key: keeps the words from choosing the factors
 */
static uint64_t pair_take(uint64_t *to, const volatile uint64_t *from, uint64_t lane, uint64_t key)
{
	uint64_t even = from[0], odd = from[1];

	store_past_cache(&to[0], even);
	store_past_cache(&to[1], odd);
	return fold(even ^ key, odd ^ lane);
}

/* Four lanes, because a product takes longer than it takes to start the next. */
uint64_t copy_page_hashed_plain(void *dst, const void *src, const void *next)
{
	const volatile uint64_t *from = src;
	const uint64_t *key = hash_key;
	uint64_t a = key[0], b = key[1], c = key[2], d = key[3];
	const uint64_t *ahead = next ? next : src;
	uint64_t *to = dst;
	unsigned int i;

	for (i = 0; i < WORDS; i += 8) {
		__builtin_prefetch(&ahead[i]);
		a = pair_take(&to[i], &from[i], a, key[4]);
		b = pair_take(&to[i + 2], &from[i + 2], b, key[5]);
		c = pair_take(&to[i + 4], &from[i + 4], c, key[6]);
		d = pair_take(&to[i + 6], &from[i + 6], d, key[7]);
	}
	__asm__ volatile("sfence" : : : "memory");
	return fold(a ^ key[4], b ^ key[5]) ^ fold(c ^ key[6], d ^ key[7]);
}

void copy_page_cached(void *dst, const void *src)
{
	memory_copy_up(dst, src, COPY_PAGE_SIZE);
}

/* Ends with the first line that differs. */
bool copy_page_equal(const void *a, const void *b)
{
	unsigned char saved[4 * XMM_SIZE] __attribute__((aligned(XMM_SIZE)));
	const char *end = (const char *)a + COPY_PAGE_SIZE;
	uint32_t alike;

	__asm__ volatile(SAVE_4 "1:\n\t"
				"movdqa 0x00(%[a]), %%xmm0\n\t"
				"movdqa 0x10(%[a]), %%xmm1\n\t"
				"movdqa 0x20(%[a]), %%xmm2\n\t"
				"movdqa 0x30(%[a]), %%xmm3\n\t"
				"pcmpeqb 0x00(%[b]), %%xmm0\n\t"
				"pcmpeqb 0x10(%[b]), %%xmm1\n\t"
				"pcmpeqb 0x20(%[b]), %%xmm2\n\t"
				"pcmpeqb 0x30(%[b]), %%xmm3\n\t" ALL_ALIKE "jne 2f\n\t"
				"add $0x40, %[a]\n\t"
				"add $0x40, %[b]\n\t"
				"cmp %[end], %[a]\n\t"
				"jne 1b\n"
				"2:\n\t" RESTORE_4
			 : [a] "+r"(a), [b] "+r"(b), [alike] "=&r"(alike)
			 : [saved] "r"(saved), [end] "r"(end)
			 : "memory", "cc");
	return alike == 0xffff;
}

/* Ends with the first line that differs. */
bool copy_page_repeats(const void *page, uint64_t word)
{
	unsigned char saved[5 * XMM_SIZE] __attribute__((aligned(XMM_SIZE)));
	const char *end = (const char *)page + COPY_PAGE_SIZE;
	uint32_t alike;

	__asm__ volatile(SAVE_4 "movaps %%xmm4, 0x40(%[saved])\n\t"
				"movq %[word], %%xmm4\n\t"
				"punpcklqdq %%xmm4, %%xmm4\n"
				"1:\n\t"
				"movdqa 0x00(%[page]), %%xmm0\n\t"
				"movdqa 0x10(%[page]), %%xmm1\n\t"
				"movdqa 0x20(%[page]), %%xmm2\n\t"
				"movdqa 0x30(%[page]), %%xmm3\n\t"
				"pcmpeqb %%xmm4, %%xmm0\n\t"
				"pcmpeqb %%xmm4, %%xmm1\n\t"
				"pcmpeqb %%xmm4, %%xmm2\n\t"
				"pcmpeqb %%xmm4, %%xmm3\n\t" ALL_ALIKE "jne 2f\n\t"
				"add $0x40, %[page]\n\t"
				"cmp %[end], %[page]\n\t"
				"jne 1b\n"
				"2:\n\t" RESTORE_4 "movaps 0x40(%[saved]), %%xmm4"
			 : [page] "+r"(page), [alike] "=&r"(alike)
			 : [saved] "r"(saved), [end] "r"(end), [word] "r"(word)
			 : "memory", "cc");
	return alike == 0xffff;
}

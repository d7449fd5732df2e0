/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying whole pages
 *
 * The hypervisor is compiled for general registers only, so that guests' vector registers need
 * not be switched on an exit. This leaf uses four of them and saves those four by hand, a few
 * nanoseconds where XSAVE takes a hundred. SSE2 is part of x86-64: there is no CPU to fall back
 * for. Wider registers would copy faster still, but a VEX instruction clears or keeps the upper
 * halves by rules of its own, and their saving needs XCR0.
 *
 * Documents: SDM vol. 1, "Caching of temporal vs. non-temporal data"; vol. 2, MOVNTDQ and SFENCE.
 */
#include "arch/x86_64/cpu/copy.h"
#include "arch/x86_64/cpu/memory.h"

#define COPY_PAGE_SIZE 4096u
#define XMM_SIZE       16u
#define XMM_USED       4u

void copy_page_past_cache(void *dst, const void *src)
{
	unsigned char saved[XMM_USED * XMM_SIZE] __attribute__((aligned(XMM_SIZE)));
	const char *end = (const char *)src + COPY_PAGE_SIZE;

	__asm__ volatile("movaps %%xmm0, 0x00(%[saved])\n\t"
			 "movaps %%xmm1, 0x10(%[saved])\n\t"
			 "movaps %%xmm2, 0x20(%[saved])\n\t"
			 "movaps %%xmm3, 0x30(%[saved])\n"
			 "1:\n\t"
			 "movdqa 0x00(%[src]), %%xmm0\n\t"
			 "movdqa 0x10(%[src]), %%xmm1\n\t"
			 "movdqa 0x20(%[src]), %%xmm2\n\t"
			 "movdqa 0x30(%[src]), %%xmm3\n\t"
			 "movntdq %%xmm0, 0x00(%[dst])\n\t"
			 "movntdq %%xmm1, 0x10(%[dst])\n\t"
			 "movntdq %%xmm2, 0x20(%[dst])\n\t"
			 "movntdq %%xmm3, 0x30(%[dst])\n\t"
			 "movdqa 0x40(%[src]), %%xmm0\n\t"
			 "movdqa 0x50(%[src]), %%xmm1\n\t"
			 "movdqa 0x60(%[src]), %%xmm2\n\t"
			 "movdqa 0x70(%[src]), %%xmm3\n\t"
			 "movntdq %%xmm0, 0x40(%[dst])\n\t"
			 "movntdq %%xmm1, 0x50(%[dst])\n\t"
			 "movntdq %%xmm2, 0x60(%[dst])\n\t"
			 "movntdq %%xmm3, 0x70(%[dst])\n\t"
			 "add $0x80, %[src]\n\t"
			 "add $0x80, %[dst]\n\t"
			 "cmp %[end], %[src]\n\t"
			 "jne 1b\n\t"
			 "sfence\n\t"
			 "movaps 0x00(%[saved]), %%xmm0\n\t"
			 "movaps 0x10(%[saved]), %%xmm1\n\t"
			 "movaps 0x20(%[saved]), %%xmm2\n\t"
			 "movaps 0x30(%[saved]), %%xmm3"
			 : [src] "+r"(src), [dst] "+r"(dst)
			 : [saved] "r"(saved), [end] "r"(end)
			 : "memory", "cc");
}

void copy_page_cached(void *dst, const void *src)
{
	memory_copy_up(dst, src, COPY_PAGE_SIZE);
}

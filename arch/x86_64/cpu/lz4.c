/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LZ4 inside the hypervisor
 *
 * The library is Debian's, built for ordinary programs: it uses XMM0 to XMM15 (no VEX instruction,
 * so that upper halves stay) and takes its stack protector's guard from FS:0x28. Both are the
 * guest's while a hypercall is served, so both are saved around each call. It allocates nothing in
 * the functions that are called here, and needs less than 200 bytes of stack and no red zone.
 *
 * Documents: SDM vol. 1, "Intel Streaming SIMD Extensions"; System V ABI for AMD64, "Thread-Local
 * Storage"; lz4.h.
 */
#define LZ4_STATIC_LINKING_ONLY /* its name for what a shared library does not promise to keep */
#include <lz4.h>

#include "arch/x86_64/cpu/lz4.h"
#include "arch/x86_64/cpu/lz4_host.h"

#define XMM_SIZE     16u
#define XMM_COUNT    16u
#define ACCELERATION 1 /* the library's default: densest */

_Static_assert(sizeof(LZ4_stream_t) <= LZ4_STATE_SIZE, "the state fits what a CPU has for it");

struct saved {
	unsigned char xmm[XMM_COUNT * XMM_SIZE] __attribute__((aligned(XMM_SIZE)));
	uint64_t fs_base;
};

static void enter(struct saved *saved)
{
	__asm__ volatile("movaps %%xmm0, 0x00(%0)\n\t"
			 "movaps %%xmm1, 0x10(%0)\n\t"
			 "movaps %%xmm2, 0x20(%0)\n\t"
			 "movaps %%xmm3, 0x30(%0)\n\t"
			 "movaps %%xmm4, 0x40(%0)\n\t"
			 "movaps %%xmm5, 0x50(%0)\n\t"
			 "movaps %%xmm6, 0x60(%0)\n\t"
			 "movaps %%xmm7, 0x70(%0)\n\t"
			 "movaps %%xmm8, 0x80(%0)\n\t"
			 "movaps %%xmm9, 0x90(%0)\n\t"
			 "movaps %%xmm10, 0xa0(%0)\n\t"
			 "movaps %%xmm11, 0xb0(%0)\n\t"
			 "movaps %%xmm12, 0xc0(%0)\n\t"
			 "movaps %%xmm13, 0xd0(%0)\n\t"
			 "movaps %%xmm14, 0xe0(%0)\n\t"
			 "movaps %%xmm15, 0xf0(%0)"
			 :
			 : "r"(saved->xmm)
			 : "memory");
	saved->fs_base = lz4_host_enter();
}

static void leave(const struct saved *saved)
{
	lz4_host_leave(saved->fs_base);
	__asm__ volatile("movaps 0x00(%0), %%xmm0\n\t"
			 "movaps 0x10(%0), %%xmm1\n\t"
			 "movaps 0x20(%0), %%xmm2\n\t"
			 "movaps 0x30(%0), %%xmm3\n\t"
			 "movaps 0x40(%0), %%xmm4\n\t"
			 "movaps 0x50(%0), %%xmm5\n\t"
			 "movaps 0x60(%0), %%xmm6\n\t"
			 "movaps 0x70(%0), %%xmm7\n\t"
			 "movaps 0x80(%0), %%xmm8\n\t"
			 "movaps 0x90(%0), %%xmm9\n\t"
			 "movaps 0xa0(%0), %%xmm10\n\t"
			 "movaps 0xb0(%0), %%xmm11\n\t"
			 "movaps 0xc0(%0), %%xmm12\n\t"
			 "movaps 0xd0(%0), %%xmm13\n\t"
			 "movaps 0xe0(%0), %%xmm14\n\t"
			 "movaps 0xf0(%0), %%xmm15"
			 :
			 : "r"(saved->xmm)
			 : "memory");
}

uint32_t lz4_compress(void *dst, uint32_t cap, const void *src)
{
	struct saved saved;
	int size;

	enter(&saved);
	size = LZ4_compress_fast_extState_fastReset(lz4_host_state(), src, dst, LZ4_PAGE_SIZE,
						    (int)cap, ACCELERATION);
	leave(&saved);
	return size > 0 ? (uint32_t)size : 0;
}

void lz4_decompress(void *dst, const void *src, uint32_t size)
{
	struct saved saved;
	int got;

	enter(&saved);
	got = LZ4_decompress_safe(src, dst, (int)size, LZ4_PAGE_SIZE);
	leave(&saved);
	if (got != (int)LZ4_PAGE_SIZE)
		lz4_host_damaged();
}

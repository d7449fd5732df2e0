/* SPDX-License-Identifier: BSD-2-Clause */
/* Compressing pages, by Debian's liblz4. */
#ifndef ARCH_CPU_LZ4_H
#define ARCH_CPU_LZ4_H

#include <stdint.h>

#define LZ4_PAGE_SIZE 4096u

/* Bytes of the state that each CPU needs to compress; zeroed, aligned to 8. */
#define LZ4_STATE_SIZE 16416u

/*
 * lz4_compress - compress a page
 * @dst:   @cap bytes
 * @src:   LZ4_PAGE_SIZE bytes that nobody writes meanwhile
 *
 * Returns how many bytes it became, 0 when they are more than @cap.
 * The guest's vector registers and FS, live in the CPU while the hypervisor runs, come out as they
 * went in. Context: any, not in an exception handler: a CPU has one state.
 */
uint32_t lz4_compress(void *dst, uint32_t cap, const void *src);

/*
 * lz4_decompress - have the page again
 * @dst:  LZ4_PAGE_SIZE bytes; what is written there meanwhile by others may end up in it, no more
 * @src:  what lz4_compress() made, @size bytes
 *
 * Otherwise as lz4_compress(). Anything else in @src is a panic.
 */
void lz4_decompress(void *dst, const void *src, uint32_t size);

#endif

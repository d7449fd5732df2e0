/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying and filling by the string instructions: eight bytes at a time, then the rest
 *
 * The direction flag is clear throughout the hypervisor, as the ABI asks.
 */
#ifndef ARCH_CPU_MEMORY_H
#define ARCH_CPU_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* memory_copy_up - from the lowest byte on; right unless @dst lies inside [@src, @src + @n). */
static inline void memory_copy_up(void *dst, const void *src, size_t n)
{
	size_t words = n / 8, bytes = n % 8;

	__asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(bytes) : : "memory");
}

/* memory_copy_down - from the highest byte on; right unless @src lies inside [@dst, @dst + @n). */
static inline void memory_copy_down(void *dst, const void *src, size_t n)
{
	char *d = (char *)dst + n - 1;
	const char *s = (const char *)src + n - 1;

	__asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
}

static inline void memory_fill(void *dst, uint8_t value, size_t n)
{
	size_t words = n / 8, bytes = n % 8;
	uint64_t pattern = 0x0101010101010101ull * value;

	__asm__ volatile("rep stosq" : "+D"(dst), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(dst), "+c"(bytes) : "a"(pattern) : "memory");
}

#endif

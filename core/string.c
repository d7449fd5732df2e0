/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions that the compiler may call on its own, and a few string comparisons.
 *
 * Copying and filling are the processor's string instructions (arch/x86_64/cpu/memory.h): a C loop
 * would be recognised by the compiler and turned into a call of the function that it is in.
 */
#include "core/string.h"
#include "arch/x86_64/cpu/memory.h"
#include <stdint.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	memory_copy_up(dst, src, n);
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	/* Only a destination inside the source must be filled from its end. */
	if ((uintptr_t)dst - (uintptr_t)src < n)
		memory_copy_down(dst, src, n);
	else
		memory_copy_up(dst, src, n);
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	memory_fill(dst, (unsigned char)c, n);
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

size_t strlen(const char *s)
{
	return strnlen(s, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (a[i] != b[i])
			return (unsigned char)a[i] - (unsigned char)b[i];
		if (!a[i])
			break;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What the compiler may call; built so that it does not turn the loops into calls of themselves. */
#include "tests/guest/lib/test.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	uint8_t *to = dst;
	const uint8_t *from = src;

	while (n--)
		*to++ = *from++;
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	uint8_t *to = dst;
	const uint8_t *from = src;

	if (to <= from)
		return memcpy(dst, src, n);
	while (n--)
		to[n] = from[n];
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	uint8_t *to = dst;

	while (n--)
		*to++ = (uint8_t)c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *left = a, *right = b;

	for (size_t i = 0; i < n; i++) {
		if (left[i] != right[i])
			return left[i] < right[i] ? -1 : 1;
	}
	return 0;
}

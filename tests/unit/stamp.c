/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/stamp.h"
#include "tmem/tmem.h"

#define WORDS (TMEM_PAGE_SIZE / sizeof(uint64_t))

bool stamp_is_filled(uint64_t stamp)
{
	return stamp / TMEM_PAGE_SIZE % 4 == 0;
}

/* A page that cannot be compressed: as many as those that are filled. */
static bool is_random(uint64_t stamp)
{
	return stamp / TMEM_PAGE_SIZE % 4 == 1;
}

void stamp_fill(uint64_t *page, uint64_t stamp)
{
	const uint64_t word = (uint32_t)stamp * 0x100000001ull;
	const bool filled = stamp_is_filled(stamp);
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		page[i] = filled ? word : stamp + i;
	for (i = 0; i < WORDS && is_random(stamp); i++) {
		page[i] *= 0x9e3779b97f4a7c15ull;
		page[i] ^= page[i] >> 29;
		page[i] *= 0xbf58476d1ce4e5b9ull;
	}
}

void stamp_pages_equal(const void *page, const void *wanted)
{
	if (memcmp(page, wanted, TMEM_PAGE_SIZE) != 0)
		assert_memory_equal(page, wanted, TMEM_PAGE_SIZE);
}

void stamp_expect(const uint64_t *page, uint64_t stamp)
{
	uint64_t wanted[WORDS];

	stamp_fill(wanted, stamp);
	stamp_pages_equal(page, wanted);
}

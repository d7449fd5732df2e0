/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guest/lib/pages.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define WAIT_TICKS 60000000000ull /* for another guest, which starts when it can */

void pages_fill(uint64_t *page, uint64_t bytes, uint64_t seed)
{
	for (uint64_t i = 0; i < bytes / 8; i++)
		page[i] = (seed + i) * 0x9e3779b97f4a7c15;
}

bool pages_hold(const uint64_t *page, uint64_t bytes, uint64_t seed)
{
	for (uint64_t i = 0; i < bytes / 8; i++)
		if (page[i] != (seed + i) * 0x9e3779b97f4a7c15)
			return false;
	return true;
}

int64_t shared_open(const char *name, uint64_t flags)
{
	union {
		char text[16];
		uint64_t words[2];
	} uuid = {.words = {0, 0}};

	for (size_t i = 0; name[i]; i++)
		uuid.text[i] = name[i];
	return hypercall(TIDEPOOL_OP_NEW_POOL, flags | TIDEPOOL_POOL_VERSION | TIDEPOOL_POOL_SHARED,
			 uuid.words[0], uuid.words[1], 0, 0, 0);
}

void shared_wait(uint64_t pool, uint64_t index, uint64_t *page)
{
	struct page_key key = {{4, 5, 6}, index};
	uint64_t end = rdtsc() + WAIT_TICKS;

	while (page_get(pool, &key, page) == -TIDEPOOL_ENOENT) {
		if (rdtsc() > end) {
			test_failure("the other guest's page %lu did not come", index);
			test_finish();
		}
		__asm__ volatile("pause");
	}
}

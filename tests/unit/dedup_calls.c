/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/dedup_calls.h"
#include "tests/unit/model_calls.h"
#include "tmem/frame.h"
#include "tmem/hold.h"

uint64_t dedup_page[DEDUP_WORDS] __attribute__((aligned(4096)));

void dedup_page_fill(uint64_t content)
{
	unsigned int i;

	for (i = 0; i < DEDUP_WORDS; i++)
		dedup_page[i] = content * 1000 + i;
}

int64_t dedup_put_as(struct tmem_client *guest, uint64_t pool, uint64_t index, uint64_t content)
{
	struct tmem_key key = key_at(index / 16, index % 16);

	dedup_page_fill(content);
	return tmem_put(guest, pool, &key, dedup_page);
}

int64_t dedup_get_as(struct tmem_client *guest, uint64_t pool, uint64_t index)
{
	struct tmem_key key = key_at(index / 16, index % 16);

	memset(dedup_page, 0, sizeof(dedup_page));
	return tmem_get(guest, pool, &key, dedup_page);
}

/* Fail unless a page is there, and has the content. */
void dedup_expect_as(struct tmem_client *guest, uint64_t pool, uint64_t index, uint64_t content)
{
	uint64_t wanted[DEDUP_WORDS];

	dedup_page_fill(content);
	memcpy(wanted, dedup_page, sizeof(wanted));
	assert_int_equal(dedup_get_as(guest, pool, index), 0);
	assert_memory_equal(dedup_page, wanted, sizeof(wanted));
}

void dedup_flush_as(struct tmem_client *guest, uint64_t pool, uint64_t index)
{
	struct tmem_key key = key_at(index / 16, index % 16);

	assert_int_equal(tmem_flush_page(guest, pool, &key), 1);
}

struct tmem_client *dedup_guest_create(uint64_t cap, uint64_t reserve, uint32_t dedup)
{
	static const uint64_t uuid[2];
	const struct tmem_limits limits = {.cap = cap, .reserve = reserve, .dedup = dedup};
	struct tmem_client *guest = tmem_client_create(&limits);

	assert_non_null(guest);
	while (tmem_client_prepare(guest) == -TIDEPOOL_EAGAIN)
		;
	assert_int_equal(tmem_pool_create(guest, PERSISTENT, uuid), 0);
	assert_int_equal(tmem_pool_create(guest, EPHEMERAL, uuid), 1);
	return guest;
}

uint64_t dedup_saved(void)
{
	struct tmem_store_stats stats;

	tmem_store_stats(&stats);
	return stats.pages_saved;
}

/* Fail unless every frame there is is free, or charged to one who is given, holds counted once. */
void dedup_accounts_check(struct tmem_client *const *guests, unsigned int count)
{
	uint64_t charged = stats_of(client).charged;
	struct tmem_store_stats stats;
	unsigned int i;

	for (i = 0; i < count; i++)
		charged += stats_of(guests[i]).charged;
	tmem_store_stats(&stats);
	assert_int_equal(stats.pages_free + charged - tmem_hold_count(),
			 stats.blocks * TMEM_FRAMES_PER_BLOCK);
}

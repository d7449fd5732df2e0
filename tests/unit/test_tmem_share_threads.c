/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests on CPUs of their own that fight for a full host, and come and go: none finds another's
 * page, none loses a persistent one, and the one with a reserve is not refused inside of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <tidepool/abi.h>

#include "tests/unit/model_host.h"
#include "tmem/frame.h"

#define GUESTS	    3u
#define LIVES	    6u
#define CALLS	    8000u /* a life */
#define INDICES	    700u
#define HOST_BLOCKS 3u
#define RESERVE	    400u
#define SLACK	    3u /* frames that a put may take */
#define WORDS	    (TMEM_PAGE_SIZE / sizeof(uint64_t))

enum { EPHEMERAL, PERSISTENT, POOLS };

struct guest {
	pthread_t id;
	uint64_t number, random, evicted, stamps[POOLS][INDICES];
	uint64_t page[WORDS] __attribute__((aligned(4096)));
};

/* cmocka's asserts are not for threads. */
static void check(bool ok)
{
	if (!ok)
		abort();
}

static uint64_t random_next(struct guest *guest)
{
	guest->random ^= guest->random << 13;
	guest->random ^= guest->random >> 7;
	guest->random ^= guest->random << 17;
	return guest->random;
}

/* One in four is a page without a frame. */
static void page_fill(struct guest *guest, uint64_t stamp)
{
	uint64_t i;

	for (i = 0; i < WORDS; i++)
		guest->page[i] = stamp % 4 ? stamp + i : stamp << 32 | stamp;
}

static void page_check(struct guest *guest, uint64_t stamp)
{
	uint64_t got[WORDS];

	memcpy(got, guest->page, sizeof(got));
	page_fill(guest, stamp);
	check(memcmp(got, guest->page, sizeof(got)) == 0);
}

static void put_do(struct guest *guest, struct tmem_client *client, uint64_t pool, uint64_t index)
{
	struct tmem_key key = {.oid = {1, 2, 3}, .index = index};
	uint64_t stamp = (random_next(guest) & 0xffff) << 8 | guest->number << 4 | 1;
	struct tmem_stats stats;
	int64_t ret;

	stamp += random_next(guest) % 4;
	page_fill(guest, stamp);
	ret = tmem_put(client, pool, &key, guest->page);
	check(ret == 0 || ret == -TIDEPOOL_ENOMEM || ret == -TIDEPOOL_ENOSPC);
	guest->stamps[pool][index] = ret ? 0 : stamp;
	tmem_client_stats(client, &stats);
	check(ret == 0 || guest->number > 0 || stats.charged + SLACK > RESERVE);
}

static void get_do(struct guest *guest, struct tmem_client *client, uint64_t pool, uint64_t index)
{
	struct tmem_key key = {.oid = {1, 2, 3}, .index = index};
	uint64_t *stamp = &guest->stamps[pool][index];
	int64_t ret = tmem_get(client, pool, &key, guest->page);

	check(ret == 0 || ret == -TIDEPOOL_ENOENT);
	check(ret == 0 ? *stamp != 0 : pool == EPHEMERAL || *stamp == 0);
	if (ret == 0)
		page_check(guest, *stamp);
	if (pool == EPHEMERAL)
		*stamp = 0;
}

static void flush_do(struct guest *guest, struct tmem_client *client, uint64_t pool, uint64_t index)
{
	struct tmem_key key = {.oid = {1, 2, 3}, .index = index};
	int64_t ret = tmem_flush_page(client, pool, &key);

	check(pool == PERSISTENT ? ret == (guest->stamps[pool][index] != 0) : ret == 0 || ret == 1);
	guest->stamps[pool][index] = 0;
}

static struct tmem_client *guest_start(struct guest *guest)
{
	const struct tmem_limits limits = {
		.cap = UINT64_MAX,
		.reserve = guest->number == 0 ? RESERVE : 0,
		.weight = (uint16_t)guest->number,
	};
	static const uint64_t uuid[2];
	struct tmem_client *client = tmem_client_create(&limits);
	int ret;

	if (!client)
		return NULL;
	do
		ret = tmem_client_prepare(client);
	while (ret == -TIDEPOOL_EAGAIN);
	if (ret == 0 && tmem_pool_create(client, TIDEPOOL_POOL_VERSION, uuid) == EPHEMERAL &&
	    tmem_pool_create(client, TIDEPOOL_POOL_VERSION | TIDEPOOL_POOL_PERSISTENT, uuid) ==
		    PERSISTENT)
		return client;
	while (tmem_client_destroy(client) == -TIDEPOOL_EAGAIN)
		;
	return NULL;
}

static void *guest_run(void *argument)
{
	struct guest *guest = argument;
	unsigned int life, i;

	for (life = 0; life < LIVES; life++) {
		struct tmem_client *client;
		struct tmem_stats stats;

		/* A full host may have no room for it; the others come to an end. */
		while (!(client = guest_start(guest)))
			;
		memset(guest->stamps, 0, sizeof(guest->stamps));
		for (i = 0; i < CALLS; i++) {
			uint64_t pool = random_next(guest) % 3 ? EPHEMERAL : PERSISTENT;
			uint64_t index = random_next(guest) % INDICES;

			if (random_next(guest) % 8 < 5)
				put_do(guest, client, pool, index);
			else if (random_next(guest) % 4)
				get_do(guest, client, pool, index);
			else
				flush_do(guest, client, pool, index);
		}
		tmem_client_stats(client, &stats);
		guest->evicted += stats.evicted;
		while (tmem_client_destroy(client) == -TIDEPOOL_EAGAIN)
			;
	}
	return NULL;
}

static void test_guests(void **state)
{
	static struct guest guests[GUESTS];
	struct tmem_store_stats store;
	unsigned int i;

	(void)state;
	assert_int_equal(model_host_start(HOST_BLOCKS), 0);
	for (i = 0; i < GUESTS; i++) {
		guests[i].number = i;
		guests[i].random = i + 1;
		assert_int_equal(pthread_create(&guests[i].id, NULL, guest_run, &guests[i]), 0);
	}
	for (i = 0; i < GUESTS; i++) {
		assert_int_equal(pthread_join(guests[i].id, NULL), 0);
		assert_true(guests[i].evicted > 0);
	}
	tmem_store_stats(&store);
	assert_int_equal(store.blocks, 1);
	assert_int_equal(store.pages_held, 0);
	assert_int_equal(store.pages_free, TMEM_FRAMES_PER_BLOCK);
	model_host_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

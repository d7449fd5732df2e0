/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No byte of one client ever reaches another: each writes only bytes of its own, and looks at all
 * that it gets, in a store that is small enough to use every frame again and again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

#include <tidepool/abi.h>

#include "tests/unit/model_host.h"
#include "tmem/tmem.h"

#define CLIENTS 3u
#define POOLS	2u
#define KEYS	300u
#define CALLS	60000u
#define BLOCKS	1u

static struct tmem_client *clients[CLIENTS];
static unsigned char page[TMEM_PAGE_SIZE] __attribute__((aligned(4096)));

/* Bytes of a client have its number in the upper bits; zero is nobody's. */
static unsigned char byte_of(unsigned int c)
{
	return (unsigned char)((c + 1) << 5 | (1 + model_random() % 31));
}

static bool is_foreign(unsigned int c, unsigned char byte)
{
	return byte && byte >> 5 != c + 1;
}

static void page_fill(unsigned int c)
{
	unsigned int i;

	memset(page, byte_of(c), sizeof(page));
	for (i = 0; model_random() % 4 && i < 8; i++)
		page[model_random() % sizeof(page)] = byte_of(c);
}

static void page_look(unsigned int c)
{
	unsigned int i;

	for (i = 0; i < sizeof(page); i++)
		assert_false(is_foreign(c, page[i]));
}

static struct tmem_span span_choose(void)
{
	struct tmem_span span = {.length = 1 + (uint32_t)(model_random() % 64)};

	span.offset = (uint32_t)(model_random() % (TMEM_PAGE_SIZE - span.length + 1));
	span.at = (uint32_t)(model_random() % (TMEM_PAGE_SIZE - span.length + 1));
	return span;
}

static void call_do(void)
{
	unsigned int c = (unsigned int)(model_random() % CLIENTS);
	uint64_t pool = model_random() % POOLS;
	struct tmem_key key = {.index = model_random() % KEYS};
	struct tmem_span span = span_choose();

	page_fill(c);
	switch (model_random() % 9) {
	case 0:
	case 1:
		(void)tmem_put(clients[c], pool, &key, page);
		return;
	case 2:
		(void)tmem_new_page(clients[c], pool, &key);
		return;
	case 3:
	case 4:
		(void)tmem_write(clients[c], pool, &key, &span, page);
		return;
	case 5:
		(void)tmem_flush_page(clients[c], pool, &key);
		return;
	case 6:
		(void)tmem_exchange(clients[c], pool, &key, &span, page);
		break;
	case 7:
		(void)tmem_read(clients[c], pool, &key, &span, page);
		break;
	default:
		(void)tmem_get(clients[c], pool, &key, page);
	}
	page_look(c);
}

static void test_no_byte_of_others(void **state)
{
	static const uint64_t uuid[2];
	struct tmem_stats stats;
	uint64_t evicted = 0;
	unsigned int c, i;

	(void)state;
	model_random_seed(1);
	assert_int_equal(model_host_start(BLOCKS), 0);
	for (c = 0; c < CLIENTS; c++) {
		clients[c] = tmem_client_create(&(const struct tmem_limits){.cap = UINT64_MAX});
		assert_non_null(clients[c]);
		assert_int_equal(tmem_pool_create(clients[c], TIDEPOOL_POOL_VERSION, uuid), 0);
		assert_int_equal(tmem_pool_create(clients[c],
						  TIDEPOOL_POOL_VERSION | TIDEPOOL_POOL_PERSISTENT,
						  uuid),
				 1);
	}
	for (i = 0; i < CALLS; i++)
		call_do();
	for (c = 0; c < CLIENTS; c++) {
		tmem_client_stats(clients[c], &stats);
		assert_true(stats.gets > CALLS / 50);
		evicted += stats.evicted;
		while (tmem_client_destroy(clients[c]) == -TIDEPOOL_EAGAIN)
			;
	}
	assert_true(evicted > CALLS / 50); /* frames did change hands */
	model_host_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_byte_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

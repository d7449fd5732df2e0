/* SPDX-License-Identifier: BSD-2-Clause */
/* Pools that several clients share: who may, what a get leaves, and who is charged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"

#define SHARED (EPHEMERAL | TIDEPOOL_POOL_SHARED)
#define CAP    40u /* of the shared pool, in frames */

static const uint64_t name[2] = {0x65736162, 0}; /* "base" */
static const uint64_t other_name[2] = {0x65736162, 1};
static struct tmem_client *account, *writer, *reader;

static struct tmem_client *member(bool write)
{
	const struct tmem_limits limits = {.cap = 12};
	struct tmem_client *made = tmem_client_create(&limits);

	assert_non_null(made);
	assert_int_equal(tmem_shared_grant(made, account, write), 0);
	return made;
}

/* The client of model_calls is nobody's member. */
static void begin(bool persistent)
{
	const struct tmem_limits limits = {.cap = CAP};

	account = tmem_shared_create(name, persistent, &limits);
	assert_non_null(account);
	writer = member(true);
	reader = member(false);
}

static void end(void)
{
	client_destroy(writer);
	client_destroy(reader);
	client_destroy(account);
}

/* As put() and get(), by another client. */
static int64_t put_as(struct tmem_client *who, uint64_t pool, uint64_t index, char fill)
{
	struct tmem_client *before = client;
	int64_t ret;

	client = who;
	ret = put(pool, 1, index, fill);
	client = before;
	return ret;
}

static int64_t get_as(struct tmem_client *who, uint64_t pool, uint64_t index)
{
	struct tmem_client *before = client;
	int64_t ret;

	client = who;
	ret = get(pool, 1, index);
	client = before;
	return ret;
}

static void test_grants(void **state)
{
	(void)state;
	begin(false);
	assert_int_equal(tmem_pool_create(client, SHARED, name), -TIDEPOOL_EPERM);
	assert_int_equal(tmem_pool_create(writer, SHARED, other_name), -TIDEPOOL_EPERM);
	assert_int_equal(tmem_pool_create(writer, SHARED | TIDEPOOL_POOL_PERSISTENT, name),
			 -TIDEPOOL_EPERM);
	assert_int_equal(tmem_pool_create(writer, TIDEPOOL_POOL_SHARED, name), -TIDEPOOL_EINVAL);
	/* Numbers are each client's own, and the lowest that is free. */
	assert_int_equal(tmem_pool_create(writer, PERSISTENT, name), 0);
	assert_int_equal(tmem_pool_create(writer, SHARED, name), 1);
	assert_int_equal(tmem_pool_create(writer, SHARED, name), 1);
	assert_int_equal(tmem_pool_create(writer, PERSISTENT, name), 2);
	assert_int_equal(tmem_pool_create(reader, SHARED, name), 0);
	assert_int_equal(stats_of(writer).pools, 3);

	/* A private pool by the same uuid is another one. */
	assert_int_equal(put_as(writer, 0, 5, 'p'), 0);
	assert_int_equal(put_as(writer, 1, 5, 's'), 0);
	assert_int_equal(get_as(reader, 0, 5), 's');
	assert_int_equal(get_as(writer, 0, 5), 'p');

	/* Closed, it answers nothing; opened again, it is as it was. */
	assert_int_equal(tmem_pool_destroy(writer, 1), 0);
	assert_int_equal(tmem_pool_destroy(writer, 1), -TIDEPOOL_ENODEV);
	assert_int_equal(put_as(writer, 1, 5, 'x'), -TIDEPOOL_ENODEV);
	assert_int_equal(get_as(writer, TIDEPOOL_MAX_POOLS, 5), -TIDEPOOL_ENODEV);
	assert_int_equal(get_as(reader, 0, 5), 's');
	assert_int_equal(tmem_pool_create(writer, SHARED, name), 1);
	assert_int_equal(get_as(writer, 1, 5), 's');
	end();
}

static void test_reader_changes_nothing(void **state)
{
	const uint64_t oid[3] = {1, 0, 0};
	const struct tmem_span span = {.length = 1};
	struct tmem_key key = key_at(1, 5);
	char data[TMEM_PAGE_SIZE] __attribute__((aligned(4096))) = {0};

	(void)state;
	begin(false);
	assert_int_equal(tmem_pool_create(writer, SHARED, name), 0);
	assert_int_equal(tmem_pool_create(reader, SHARED, name), 0);
	assert_int_equal(put_as(writer, 0, 5, 's'), 0);
	assert_int_equal(put_as(reader, 0, 5, 'x'), -TIDEPOOL_EPERM);
	assert_int_equal(put_as(reader, 0, 6, 'x'), -TIDEPOOL_EPERM);
	assert_int_equal(tmem_new_page(reader, 0, &key), -TIDEPOOL_EPERM);
	assert_int_equal(tmem_write(reader, 0, &key, &span, data), -TIDEPOOL_EPERM);
	assert_int_equal(tmem_exchange(reader, 0, &key, &span, data), -TIDEPOOL_EPERM);
	assert_int_equal(tmem_flush_page(reader, 0, &key), -TIDEPOOL_EPERM);
	assert_int_equal(tmem_flush_object(reader, 0, oid), -TIDEPOOL_EPERM);
	assert_int_equal(tmem_flush_range(reader, 0, oid, 0, 10), -TIDEPOOL_EPERM);
	assert_int_equal(tmem_flush_range(reader, 0, oid, 0, 1000), -TIDEPOOL_EPERM);
	assert_int_equal(tmem_read(reader, 0, &key, &span, data), 0);
	assert_int_equal(data[0], 's');
	assert_int_equal(get_as(reader, 0, 5), 's');
	assert_int_equal(tmem_flush_page(writer, 0, &key), 1);
	assert_int_equal(get_as(reader, 0, 5), -TIDEPOOL_ENOENT);
	end();
}

/* Its own account's: no member is charged, and none can make more than fits. */
static void test_charge_and_eviction(void **state)
{
	uint64_t i, charged;

	(void)state;
	begin(false);
	assert_int_equal(tmem_pool_create(writer, SHARED, name), 0);
	assert_int_equal(tmem_pool_create(reader, SHARED, name), 0);
	charged = stats_of(writer).charged;
	for (i = 0; i < 4; i++)
		assert_int_equal(put_as(writer, 0, i, 'a'), 0);
	/* A get makes the page the most recent one: it is still there when others are not. */
	assert_int_equal(get_as(reader, 0, 0), 'a');
	for (i = 4; stats_of(account).evicted < 3; i++)
		assert_int_equal(put_as(writer, 0, i, 'b'), 0);
	assert_int_equal(get_as(reader, 0, 0), 'a');
	assert_int_equal(get_as(reader, 0, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(get_as(reader, 0, 3), -TIDEPOOL_ENOENT);
	assert_true(stats_of(account).charged <= CAP);
	assert_int_equal(stats_of(writer).charged, charged);
	assert_int_equal(stats_of(writer).held, 0);
	assert_int_equal(stats_of(writer).puts, i);
	assert_int_equal(stats_of(reader).gets, 2);
	assert_int_equal(stats_of(reader).misses, 2);

	/* A member that goes takes nothing along. */
	client_destroy(writer);
	assert_int_equal(get_as(reader, 0, 0), 'a');
	writer = member(true);
	end();
}

static void test_persistent(void **state)
{
	uint64_t i;

	(void)state;
	begin(true);
	assert_int_equal(tmem_pool_create(writer, SHARED, name), -TIDEPOOL_EPERM);
	assert_int_equal(tmem_pool_create(writer, SHARED | PERSISTENT, name), 0);
	assert_int_equal(tmem_pool_create(reader, SHARED | PERSISTENT, name), 0);
	for (i = 0; put_as(writer, 0, i, 'a') == 0; i++)
		;
	assert_int_equal(put_as(writer, 0, i, 'a'), -TIDEPOOL_ENOMEM);
	assert_true(i > 20 && i < CAP);
	while (i-- > 0)
		assert_int_equal(get_as(reader, 0, i), 'a');
	end();
}

/* It is the caller that is frozen, wherever its puts go. */
static void test_frozen_member(void **state)
{
	(void)state;
	begin(false);
	tmem_client_freeze(writer, TMEM_FREEZE_OPERATOR);
	assert_int_equal(tmem_pool_create(writer, SHARED, name), -TIDEPOOL_EFROZEN);
	tmem_client_thaw(writer, TMEM_FREEZE_OPERATOR);
	assert_int_equal(tmem_pool_create(writer, SHARED, name), 0);
	assert_int_equal(put_as(writer, 0, 1, 'a'), 0);
	tmem_client_freeze(writer, TMEM_FREEZE_OPERATOR);
	assert_int_equal(put_as(writer, 0, 2, 'a'), -TIDEPOOL_EFROZEN);
	assert_int_equal(put_as(writer, 0, 1, 'b'), -TIDEPOOL_ENOSPC);
	assert_int_equal(get_as(writer, 0, 1), -TIDEPOOL_ENOENT);
	end();
}

static void test_limits_of_grants(void **state)
{
	unsigned int i;

	(void)state;
	begin(false);
	for (i = 1; i < 8; i++)
		assert_int_equal(tmem_shared_grant(writer, account, true), 0);
	assert_int_equal(tmem_shared_grant(writer, account, true), -TIDEPOOL_ENOMEM);
	/* No number is left: none for a shared pool either. */
	client_destroy(reader);
	reader = tmem_client_create(&(const struct tmem_limits){.cap = UINT64_MAX});
	assert_non_null(reader);
	assert_int_equal(tmem_shared_grant(reader, account, false), 0);
	for (i = 0; i < TIDEPOOL_MAX_POOLS; i++)
		assert_int_equal(tmem_pool_create(reader, EPHEMERAL, name), i);
	assert_int_equal(tmem_pool_create(reader, SHARED, name), -TIDEPOOL_ENOMEM);
	assert_int_equal(tmem_pool_destroy(reader, 7), 0);
	assert_int_equal(tmem_pool_create(reader, SHARED, name), 7);
	end();
}

/* All or none, of a shared pool and of an own one. */
static void test_get_all(void **state)
{
	static char pages[3][TMEM_PAGE_SIZE] __attribute__((aligned(4096)));
	struct tmem_get gets[3] = {
		{.pool = 0, .key = key_at(1, 1), .page = pages[0]},
		{.pool = 1, .key = key_at(1, 1), .page = pages[1]},
		{.pool = 0, .key = key_at(1, 1), .page = pages[2]},
	};

	(void)state;
	begin(false);
	assert_int_equal(tmem_pool_create(writer, SHARED, name), 0);
	assert_int_equal(tmem_pool_create(writer, EPHEMERAL, name), 1);
	assert_int_equal(put_as(writer, 0, 1, 's'), 0);
	assert_int_equal(put_as(writer, 1, 1, 'p'), 0);
	assert_int_equal(tmem_get_all(writer, gets, 3), 0);
	assert_int_equal(pages[0][0], 's');
	assert_int_equal(pages[1][0], 'p');
	assert_int_equal(pages[2][0], 's');
	assert_int_equal(get_as(writer, 0, 1), 's');
	assert_int_equal(get_as(writer, 1, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(tmem_pool_destroy(writer, 0), 0);
	assert_int_equal(tmem_get_all(writer, gets, 1), -TIDEPOOL_ENODEV);
	end();
}

static void test_no_memory(void **state)
{
	(void)state;
	assert_null(tmem_shared_create(name, false, &(const struct tmem_limits){.cap = 2}));
}

#define CALLS 20000u

/* Two members at once: one opens and closes, both put and get the same pages. */
static void *member_run(void *argument)
{
	struct tmem_client *who = argument;
	uint64_t page[TMEM_PAGE_SIZE / 8] __attribute__((aligned(4096)));
	unsigned int i, j;

	for (i = 0; i < CALLS; i++) {
		struct tmem_key key = key_at(1, i % 16);
		int64_t id = tmem_pool_create(who, SHARED, name);

		for (j = 0; j < TMEM_PAGE_SIZE / 8; j++)
			page[j] = (uint64_t)i << 32 | j << 16;
		(void)tmem_put(who, (uint64_t)id, &key, page);
		if (tmem_get(who, (uint64_t)id, &key, page) == 0)
			for (j = 1; j < TMEM_PAGE_SIZE / 8; j++)
				if (page[j] != (page[0] | j << 16))
					return who; /* torn */
		if (i % 3 == 0)
			(void)tmem_pool_destroy(who, (uint64_t)id);
	}
	return NULL;
}

static void test_members_at_once(void **state)
{
	pthread_t threads[2];
	void *failed[2];
	unsigned int i;

	(void)state;
	begin(false);
	client_destroy(reader);
	reader = member(true);
	assert_int_equal(pthread_create(&threads[0], NULL, member_run, writer), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, member_run, reader), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &failed[i]), 0);
		assert_null(failed[i]);
	}
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_grants),
		STORE_TEST(test_reader_changes_nothing),
		STORE_TEST(test_charge_and_eviction),
		STORE_TEST(test_persistent),
		STORE_TEST(test_frozen_member),
		STORE_TEST(test_limits_of_grants),
		STORE_TEST(test_get_all),
		STORE_TEST(test_no_memory),
		STORE_TEST(test_members_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

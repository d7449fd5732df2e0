/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Save and restore: what one client had another has, whatever happens meanwhile; and a stream that
 * is not as it was written is refused, with nothing left of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"
#include "tests/unit/save_host.h"
#include "tmem/stream.h"

#define HUGE_ORDER (9ull << TIDEPOOL_POOL_ORDER_SHIFT)
#define CHUNK	   (64u << 10)

static struct stream stream;
static char staging[TMEM_PAGE_SIZE] __attribute__((aligned(TMEM_PAGE_SIZE)));
static struct tmem_client *first; /* the client that was saved */

static struct tmem_client *client_new(uint64_t cap)
{
	const struct tmem_limits limits = {.cap = cap};
	struct tmem_client *made = tmem_client_create(&limits);

	assert_non_null(made);
	return made;
}

/* From here on the calls of model_calls.h are another client's. */
static void move(uint64_t cap)
{
	first = client;
	client = client_new(cap);
}

static void move_back(void)
{
	client_destroy(client);
	client = first;
}

/* Pages of one word, which take no frame: many in little memory. */
static int64_t put_word(uint64_t pool, uint64_t index, uint32_t word)
{
	uint32_t page[TMEM_PAGE_SIZE / sizeof(word)] __attribute__((aligned(4096)));
	struct tmem_key key = key_at(2, index);
	unsigned int i;

	for (i = 0; i < TMEM_PAGE_SIZE / sizeof(word); i++)
		page[i] = word;
	return tmem_put(client, pool, &key, page);
}

static int64_t get_word(uint64_t pool, uint64_t index)
{
	static uint32_t page[TMEM_PAGE_SIZE / 4] __attribute__((aligned(4096)));
	struct tmem_key key = key_at(2, index);
	int64_t ret = tmem_get(client, pool, &key, page);

	if (ret)
		return ret;
	assert_memory_equal(page, page + 1, TMEM_PAGE_SIZE - 4);
	return page[0];
}

static void restore_good(size_t chunk)
{
	enum tmem_restore_fault fault;

	assert_int_equal(stream_restore(client, &stream, chunk, &fault), 0);
}

/* 0, 1, 2 and some more pages, of both kinds, saved twice and restored to a client and on. */
static void test_numbers_of_pages(void **state)
{
	static const uint64_t counts[] = {0, 1, 2, 3, 64, 65, 700};
	uint64_t i, n;

	(void)state;
	for (n = 0; n < sizeof(counts) / sizeof(counts[0]); n++) {
		size_t size;

		client_cap(UINT64_MAX);
		assert_int_equal(pool_create(PERSISTENT), 0);
		for (i = 0; i < counts[n]; i++)
			assert_int_equal(i % 2 ? put(0, 1, i, (char)('a' + i % 26))
					       : put_word(0, i, (uint32_t)(i + 7)),
					 0);
		stream_save(client, &stream);
		size = stream.size;
		stream_save(client, &stream); /* again: nothing of the first one is left */
		assert_int_equal(stream.size, size);
		move(UINT64_MAX);
		restore_good(n % 2 ? CHUNK : TMEM_SAVE_BUFFER_MIN);
		for (i = 0; i < counts[n]; i++)
			assert_int_equal(i % 2 ? get(0, 1, i) : get_word(0, i),
					 i % 2 ? 'a' + (int64_t)i % 26 : (int64_t)i + 7);
		assert_int_equal(stats_of(client).held, counts[n]);
		stream_save(client, &stream);
		assert_int_equal(stream.size, size);
		/* It is a client like any other. */
		assert_int_equal(put(0, 3, 1, 'z'), 0);
		assert_int_equal(tmem_pool_destroy(client, 0) == -TIDEPOOL_EAGAIN, counts[n] > 60);
		move_back();
	}
}

static void test_many_pages(void **state)
{
	const uint64_t count = 100000;
	struct tmem_restore restore;
	struct tmem_save save;
	char *buffer = malloc(CHUNK), *page = aligned_alloc(4096, 4096);
	int64_t size;
	uint64_t i;

	(void)state;
	assert_non_null(buffer);
	assert_non_null(page);
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < count; i++)
		assert_int_equal(i % 16 ? put_word(0, i, (uint32_t)i) : put(0, 1, i, 'p'), 0);
	move(UINT64_MAX);
	assert_int_equal(tmem_save_begin(&save, first, staging), 0);
	assert_int_equal(tmem_restore_begin(&restore, client, page), 0);
	while (save.phase != TMEM_SAVE_DONE) {
		uint64_t copies = model_host.copies, at = 0;

		size = tmem_save_read(&save, buffer, CHUNK);
		assert_true(model_host.copies - copies <= 64);
		while (size > 0 && at < (uint64_t)size) {
			int64_t taken = tmem_restore_write(&restore, buffer + at,
							   (uint64_t)size - at);

			assert_true(taken > 0);
			at += (uint64_t)taken;
		}
		if (size == 0)
			assert_int_equal(tmem_save_finish(&save), 0);
	}
	assert_int_equal(tmem_save_end(&save), 0);
	assert_int_equal(tmem_restore_end(&restore), 0);
	assert_int_equal(stats_of(client).held, count);
	for (i = 0; i < count; i++)
		assert_int_equal(i % 16 ? get_word(0, i) : get(0, 1, i),
				 i % 16 ? (int64_t)(uint32_t)i : 'p');
	free(buffer);
	free(page);
	move_back();
}

/* Several pools of all kinds: numbers, flags and uuids come back, ephemeral ones empty. */
static void test_pools(void **state)
{
	static const uint64_t uuid[2] = {0x1122334455667788, 0x99aabbccddeeff00};
	static uint64_t huge[(2u << 20) / 8] __attribute__((aligned(4096)));
	static uint64_t back[(2u << 20) / 8] __attribute__((aligned(4096)));
	struct tmem_key key = key_at(9, 8);
	int64_t ret = -TIDEPOOL_EAGAIN;
	uint64_t i, cookie = 0;

	(void)state;
	assert_int_equal(pool_create(EPHEMERAL), 0);
	assert_int_equal(tmem_pool_create(client, PERSISTENT, uuid), 1);
	assert_int_equal(pool_create(PERSISTENT), 2);
	assert_int_equal(pool_create(PERSISTENT | HUGE_ORDER), 3);
	assert_int_equal(pool_create(EPHEMERAL | HUGE_ORDER), 4);
	assert_int_equal(tmem_pool_destroy(client, 2), 0);
	assert_int_equal(put(0, 1, 1, 'e'), 0);
	assert_int_equal(put(1, 1, 1, 'p'), 0);
	for (i = 0; i < sizeof(huge) / 8; i++)
		huge[i] = i * 3;
	while (ret == -TIDEPOOL_EAGAIN || ret > 0) {
		cookie = ret > 0 ? (uint64_t)ret : cookie;
		ret = tmem_huge_put(client, 3, &key, huge, cookie);
	}
	assert_int_equal(ret, 0);
	stream_save(client, &stream);
	move(UINT64_MAX);
	restore_good(CHUNK);
	assert_int_equal(get(0, 1, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(get(1, 1, 1), 'p');
	assert_int_equal(get(2, 1, 1), -TIDEPOOL_ENODEV);
	assert_true(tmem_pool_is_huge(client, 3) && tmem_pool_is_huge(client, 4));
	for (ret = -TIDEPOOL_EAGAIN, cookie = 0; ret == -TIDEPOOL_EAGAIN || ret > 0;) {
		cookie = ret > 0 ? (uint64_t)ret : cookie;
		ret = tmem_huge_get(client, 3, &key, back, cookie);
	}
	assert_int_equal(ret, 0);
	assert_memory_equal(huge, back, sizeof(huge));
	assert_int_equal(put(0, 1, 1, 'e'), 0);
	assert_int_equal(get(0, 1, 1), 'e');
	assert_int_equal(get(0, 1, 1), -TIDEPOOL_ENOENT);
	assert_int_equal(pool_create(PERSISTENT), 2);
	/* The uuid is seen in the stream of the second one. */
	stream_save(client, &stream);
	assert_memory_equal(stream.bytes + 2 * sizeof(struct tmem_record) +
				    offsetof(struct tmem_record, words) + 8,
			    uuid, sizeof(uuid));
	move_back();
}

/* The guest goes on: what it drops while its pages are sent is not there afterwards. */
static void test_live(void **state)
{
	const uint64_t count = 600;
	struct tmem_save save;
	uint64_t i, round, held;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(pool_create(PERSISTENT), 1);
	assert_int_equal(pool_create(EPHEMERAL), 2);
	for (i = 0; i < count; i++) {
		assert_int_equal(put(0, i % 5, i, 'a'), 0);
		assert_int_equal(put_word(1, i, 7), 0);
	}
	stream.size = 0;
	assert_int_equal(tmem_save_begin(&save, client, staging), 0);
	assert_int_equal(tmem_save_begin(&save, client, staging), -TIDEPOOL_EBUSY);
	for (i = 0, round = 0; save.phase != TMEM_SAVE_LIVE; round++) {
		unsigned char buffer[2 * TMEM_SAVE_BUFFER_MIN];
		int64_t ret = tmem_save_read(&save, buffer, sizeof(buffer));

		if (ret > 0) {
			stream.bytes = realloc(stream.bytes, stream.size + (size_t)ret);
			memcpy(stream.bytes + stream.size, buffer, (size_t)ret);
			stream.size += (size_t)ret;
			stream.room = stream.size;
		}
		/* Pages before the cursor, behind it and under it go. */
		if (round % 2 == 0 && i < count) {
			assert_int_equal(flush(0, i % 5, i), 1);
			assert_int_equal(put(0, (i + 1) % 5, i + 1, 'b'), -TIDEPOOL_ENOSPC);
			i += 3;
		}
	}
	assert_true(i > 200);
	assert_int_equal(put(0, 9, 9, 'n'), -TIDEPOOL_EFROZEN);
	assert_int_equal(put(2, 9, 9, 'n'), -TIDEPOOL_EFROZEN);
	while (tmem_pool_destroy(client, 1) == -TIDEPOOL_EAGAIN)
		;
	assert_int_equal(tmem_save_finish(&save), 0);
	stream_read(&save, &stream);
	while (tmem_save_end(&save) == -TIDEPOOL_EAGAIN)
		;
	held = stats_of(client).held;
	assert_int_equal(put(0, 9, 9, 'n'), 0);

	move(UINT64_MAX);
	restore_good(CHUNK);
	assert_int_equal(stats_of(client).held, held);
	assert_int_equal(get(1, 1, 1), -TIDEPOOL_ENODEV);
	assert_int_equal(get(2, 1, 1), -TIDEPOOL_ENOENT);
	for (i = 0; i < count; i++) {
		int64_t here = get(0, i % 5, i);
		struct tmem_client *there = client;

		client = first;
		assert_int_equal(get(0, i % 5, i), here);
		client = there;
	}
	move_back();
}

/* Given up, or overtaken by the client's end: nothing is left of it. */
static void test_given_up(void **state)
{
	struct tmem_save save;
	struct tmem_restore restore;
	uint64_t i, charged;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	charged = stats_of(client).charged;
	for (i = 0; i < 200; i++)
		assert_int_equal(put(0, 1, i, 'a'), 0);
	assert_int_equal(tmem_save_begin(&save, client, staging), 0);
	assert_int_equal(tmem_save_read(&save, staging, TMEM_PAGE_SIZE), -TIDEPOOL_EINVAL);
	for (i = 0; i < 200; i++)
		assert_int_equal(flush(0, 1, i), 1);
	assert_int_equal(tmem_restore_begin(&restore, client, staging), -TIDEPOOL_EBUSY);
	assert_int_equal(tmem_save_end(&save), -TIDEPOOL_EAGAIN);
	while (tmem_save_end(&save) == -TIDEPOOL_EAGAIN)
		;
	assert_true(stats_of(client).charged <= charged + 8); /* the index stays */
	assert_int_equal(put(0, 1, 1, 'a'), 0);
	assert_int_equal(tmem_save_begin(&save, client, staging), 0);
	assert_int_equal(flush(0, 1, 1), 1);
	/* calls_teardown() destroys the client, and counts frames */
}

/* No room: refused, and nothing left, at every cap. */
static void test_no_room(void **state)
{
	enum tmem_restore_fault fault;
	uint64_t i, cap;

	(void)state;
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < 30; i++)
		assert_int_equal(put(0, 1, i, 'a'), 0);
	stream_save(client, &stream);
	for (cap = 2; cap < 30; cap++) {
		move(cap);
		assert_int_equal(stream_restore(client, &stream, CHUNK, &fault), -TIDEPOOL_EBADMSG);
		assert_int_equal(fault, TMEM_RESTORE_MEMORY);
		assert_int_equal(stats_of(client).held, 0);
		assert_int_equal(stats_of(client).pools, 0);
		assert_int_equal(get(0, 1, 1), -TIDEPOOL_ENODEV);
		move_back();
	}
}

static void refused(enum tmem_restore_fault expected)
{
	enum tmem_restore_fault fault;

	assert_int_equal(stream_restore(client, &stream, CHUNK, &fault), -TIDEPOOL_EBADMSG);
	if (expected)
		assert_int_equal(fault, expected);
	assert_int_equal(stats_of(client).held, 0);
	assert_int_equal(stats_of(client).pools, 0);
}

static void small_stream(void)
{
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(pool_create(EPHEMERAL), 1);
	assert_int_equal(put_word(0, 1, 5), 0);
	assert_int_equal(put(0, 1, 2, 'x'), 0);
	stream_save(client, &stream);
}

/* Cut at every byte; longer than it ends; and every single bit of it wrong. */
static void test_damaged(void **state)
{
	size_t size, i;
	unsigned int bit;

	(void)state;
	small_stream();
	size = stream.size;
	move(UINT64_MAX);
	for (stream.size = 0; stream.size < size; stream.size++)
		refused(TMEM_RESTORE_TRUNCATED);
	for (i = 0; i < size; i++)
		for (bit = 0; bit < 8; bit++) {
			stream.bytes[i] ^= (unsigned char)(1u << bit);
			refused(0);
			stream.bytes[i] ^= (unsigned char)(1u << bit);
		}
	restore_good(CHUNK);
	move_back();
}

/* A record of the stream, for tests that write one anew. */
static struct tmem_record *record_at(size_t at)
{
	return (struct tmem_record *)(void *)(stream.bytes + at);
}

/* Make all checksums right again, and the numbers, so that the rest is what is looked at. */
static void stream_sign(void)
{
	uint64_t last = 0, number = 0;
	size_t at;

	for (at = 0; at < stream.size; at += record_at(at)->length) {
		struct tmem_record *record = record_at(at);

		record->number = number++;
		last = record->checksum = tmem_stream_checksum(record, record + 1, last);
	}
}

/* Change a word of the small stream's n-th record, and expect it to be refused for that. */
static void wrong(unsigned int n, size_t offset, uint64_t value, enum tmem_restore_fault expected)
{
	unsigned char *copy = malloc(stream.size);
	uint64_t *word;
	size_t at = 0;

	memcpy(copy, stream.bytes, stream.size);
	while (n-- > 0)
		at += record_at(at)->length;
	word = (uint64_t *)(void *)(stream.bytes + at + offset);
	*word = value;
	stream_sign();
	refused(expected);
	memcpy(stream.bytes, copy, stream.size);
	free(copy);
}

#define WORD(n) (offsetof(struct tmem_record, words) + 8 * (n))
#define POOL	offsetof(struct tmem_record, pool)
#define NUMBER	offsetof(struct tmem_record, number)

/* Right in every checksum, and yet not what a save writes. Records: 2 pools, 2 pages, the end. */
static void test_contradictions(void **state)
{
	enum tmem_restore_fault fault;

	(void)state;
	small_stream();
	move(UINT64_MAX);
	wrong(0, WORD(0), 1, TMEM_RESTORE_MAGIC);
	wrong(0, WORD(1), 2, TMEM_RESTORE_VERSION);
	wrong(0, WORD(2), 1, TMEM_RESTORE_POOL); /* more pools than there should be */
	wrong(0, WORD(2), 3, TMEM_RESTORE_KIND); /* a page before the last pool */
	wrong(1, POOL, TIDEPOOL_MAX_POOLS, TMEM_RESTORE_POOL);
	wrong(1, POOL, UINT64_MAX, TMEM_RESTORE_POOL);
	wrong(1, POOL, 1, TMEM_RESTORE_POOL); /* twice the same */
	wrong(1, WORD(0), 0, TMEM_RESTORE_POOL);
	wrong(1, WORD(0), PERSISTENT | TIDEPOOL_POOL_SHARED, TMEM_RESTORE_POOL);
	wrong(1, WORD(0), EPHEMERAL, TMEM_RESTORE_POOL); /* pages in it */
	wrong(3, POOL, 2, TMEM_RESTORE_POOL);
	wrong(5, WORD(0), 1, TMEM_RESTORE_COUNT);
	wrong(5, WORD(1), 1, TMEM_RESTORE_COUNT);
	wrong(5, WORD(2), 1, TMEM_RESTORE_COUNT);
	wrong(5, WORD(3), 5, TMEM_RESTORE_COUNT);
	/* Not signed again: found before the checksum is. */
	record_at(0)->number = 1;
	refused(TMEM_RESTORE_NUMBER);
	record_at(0)->number = 0;
	record_at(0)->length += 8;
	refused(TMEM_RESTORE_LENGTH);
	record_at(0)->length -= 8;
	record_at(64)->kind = 77;
	refused(TMEM_RESTORE_KIND);
	record_at(64)->kind = TMEM_RECORD_POOL;
	record_at(64)->checksum++;
	refused(TMEM_RESTORE_CHECKSUM);
	record_at(64)->checksum--;
	/* Twice the whole stream, and one with a page twice. */
	stream.bytes = realloc(stream.bytes, 2 * stream.size);
	memcpy(stream.bytes + stream.size, stream.bytes, stream.size);
	stream.size *= 2;
	refused(TMEM_RESTORE_BEYOND);
	stream.size /= 2;
	assert_int_equal(stream_restore(client, &stream, CHUNK, &fault), 0);
	move_back();
}

static void test_page_twice(void **state)
{
	size_t page = 3 * sizeof(struct tmem_record), length;

	(void)state;
	small_stream();
	length = record_at(page)->length;
	stream.bytes = realloc(stream.bytes, stream.size + length);
	memmove(stream.bytes + page + length, stream.bytes + page, stream.size - page);
	stream.size += length;
	stream_sign();
	move(UINT64_MAX);
	refused(TMEM_RESTORE_PAGE);
	/* A busy client takes none. */
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(tmem_restore_begin(&(struct tmem_restore){0}, client, staging),
			 -TIDEPOOL_EBUSY);
	move_back();
}

static int save_teardown(void **state)
{
	stream_free(&stream);
	return calls_teardown(state);
}

#define SAVE_TEST(name) cmocka_unit_test_setup_teardown(name, calls_setup, save_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SAVE_TEST(test_numbers_of_pages),
		SAVE_TEST(test_many_pages),
		SAVE_TEST(test_pools),
		SAVE_TEST(test_live),
		SAVE_TEST(test_given_up),
		SAVE_TEST(test_no_room),
		SAVE_TEST(test_damaged),
		SAVE_TEST(test_contradictions),
		SAVE_TEST(test_page_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

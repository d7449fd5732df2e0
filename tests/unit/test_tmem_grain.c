/* SPDX-License-Identifier: BSD-2-Clause */
/* Blobs packed into frames: each keeps its bytes, and little room is lost, whatever comes and goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/model_host.h"
#include "tmem/client.h"
#include "tmem/grain.h"

#define BLOBS  6000u
#define BLOCKS 64u

/* What a frame of blobs may cost beside them: 3 %, tmem/grain.h's reason to be. */
#define LOSS_LIMIT(bytes) ((bytes) + (bytes)*3 / 100)

struct blob {
	uint64_t name; /* 0: not stored */
	uint32_t size;
	uint32_t seed;
};

static struct blob blobs[BLOBS];
static struct tmem_client *client;

static void bytes_make(unsigned char *bytes, const struct blob *blob)
{
	uint32_t x = blob->seed, i;

	for (i = 0; i < blob->size; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (unsigned char)(x >> 24);
	}
}

/* @spare: NULL: any frame will do. */
static bool blob_add(uint32_t n, uint32_t size, void **spare)
{
	unsigned char bytes[TMEM_GRAIN_MAX];
	void *any = NULL;
	struct blob *blob = &blobs[n];

	blob->size = size;
	blob->seed = (uint32_t)model_random();
	bytes_make(bytes, blob);
	tmem_lock_acquire(&client->lock);
	blob->name = tmem_grain_add(client, n + 1, bytes, size, spare ? spare : &any);
	tmem_lock_release(&client->lock);
	return blob->name;
}

static void blob_remove(uint32_t n)
{
	void *frame;

	tmem_lock_acquire(&client->lock);
	frame = tmem_grain_remove(client, blobs[n].name);
	if (frame)
		tmem_client_frame_free(client, frame);
	tmem_lock_release(&client->lock);
	blobs[n].name = 0;
}

static void blob_check(uint32_t n)
{
	unsigned char want[TMEM_GRAIN_MAX], buffer[TMEM_GRAIN_MAX];
	const void *got;
	uint32_t size;

	bytes_make(want, &blobs[n]);
	tmem_grain_prefetch(blobs[n].name);
	got = tmem_grain_open(blobs[n].name, buffer, &size);
	assert_int_equal(size, blobs[n].size);
	assert_memory_equal(got, want, size);
	tmem_grain_close(blobs[n].name, got);
}

static void all_check(void)
{
	uint64_t bytes = 0, count = 0;
	uint32_t n;

	for (n = 0; n < BLOBS; n++) {
		if (!blobs[n].name)
			continue;
		blob_check(n);
		bytes += blobs[n].size;
		count++;
	}
	assert_int_equal(client->grains.bytes, bytes);
	assert_int_equal(client->grains.blobs, count);
	assert_int_equal(client->charged, TMEM_CLIENT_FRAMES + client->grains.frames);
}

static void all_remove(void)
{
	uint32_t n;

	for (n = 0; n < BLOBS; n++)
		if (blobs[n].name)
			blob_remove(n);
	assert_int_equal(client->grains.frames, 0);
	assert_int_equal(client->grains.bytes, 0);
	assert_int_equal(client->grains.room, 0);
	assert_int_equal(client->charged, TMEM_CLIENT_FRAMES);
}

/* As LZ4 leaves pages of programs: most between a fifth and a half of a page, a few of any size. */
static uint32_t size_random(void)
{
	uint64_t dice = model_random();

	switch (dice >> 8 & 7) {
	case 0:
		return 1 + (uint32_t)(dice >> 16) % TMEM_GRAIN_MAX;
	case 1:
		return 40 + (uint32_t)(dice >> 16) % 400;
	default:
		return 700 + (uint32_t)(dice >> 16) % 1400;
	}
}

static int client_start(void **state)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX};

	(void)state;
	memset(blobs, 0, sizeof(blobs));
	model_random_seed(7);
	assert_int_equal(model_host_start(BLOCKS), 0);
	client = tmem_client_create(&limits);
	assert_non_null(client);
	return 0;
}

static int client_stop(void **state)
{
	(void)state;
	while (tmem_client_destroy(client) != 0)
		continue;
	model_host_stop();
	return 0;
}

static void test_each_size(void **state)
{
	uint32_t n;

	(void)state;
	for (n = 0; n < TMEM_GRAIN_MAX; n++)
		assert_true(blob_add(n, n + 1, NULL));
	all_check();
	for (n = 0; n < TMEM_GRAIN_MAX; n += 2)
		blob_remove(n);
	all_check();
	all_remove();
}

/* The table of slots is as long as it may get, and shrinks again. */
static void test_tiny(void **state)
{
	uint32_t n;

	(void)state;
	for (n = 0; n < BLOBS; n++)
		assert_true(blob_add(n, 1 + n % 3, NULL));
	all_check();
	assert_in_range(client->grains.frames, BLOBS / 256, BLOBS / 200);
	for (n = 0; n < BLOBS; n++)
		if (n % 7)
			blob_remove(n);
	all_check();
	for (n = 0; n < BLOBS; n++)
		if (!blobs[n].name)
			assert_true(blob_add(n, 1 + n % 40, NULL));
	all_check();
	all_remove();
}

/* A frame that the caller has serves when there is no other, and is left to him when there is. */
static void test_spare(void **state)
{
	void *spare, *first;

	(void)state;
	tmem_lock_acquire(&client->lock);
	first = spare = tmem_client_frame_alloc(client, TMEM_FRAME_PAGE);
	tmem_lock_release(&client->lock);
	client->cap = client->charged;
	assert_true(blob_add(0, 1000, &spare));
	assert_null(spare);
	assert_int_equal(blobs[0].name & ~(uint64_t)(TMEM_PAGE_SIZE - 1), (uintptr_t)first);
	assert_true(blob_add(1, 1000, &spare));
	assert_true(blob_add(2, 1000, NULL));
	assert_false(blob_add(3, 2000, &spare));
	assert_false(blob_add(3, 2000, NULL));
	assert_true(blob_add(3, 900, NULL));
	all_check();

	client->cap = UINT64_MAX;
	tmem_lock_acquire(&client->lock);
	first = spare = tmem_client_frame_alloc(client, TMEM_FRAME_PAGE);
	tmem_lock_release(&client->lock);
	assert_true(blob_add(4, 50, &spare));
	assert_ptr_equal(spare, first);
	tmem_lock_acquire(&client->lock);
	tmem_client_frame_free(client, spare);
	tmem_lock_release(&client->lock);
	all_check();
	all_remove();
}

static void loss_check(const char *when)
{
	uint64_t stored = client->grains.frames * TMEM_PAGE_SIZE;

	print_message("%s: %.4f bytes stored for each\n", when,
		      (double)stored / (double)client->grains.bytes);
	assert_in_range(stored, client->grains.bytes, LOSS_LIMIT(client->grains.bytes));
}

/* Move the blobs of the emptiest frame into others. Returns whether that was worth it. */
static bool squeeze(void)
{
	void *frame = tmem_grain_emptiest(client);
	uint32_t owner;
	unsigned int slot;

	if (!frame)
		return false;
	tmem_grain_seal(client, frame);
	for (slot = 0; tmem_grain_owner(frame, slot, &owner); slot++) {
		unsigned char bytes[TMEM_GRAIN_MAX];
		struct blob *blob = owner ? &blobs[owner - 1] : NULL;
		uint64_t name;
		void *freed;

		if (!blob)
			continue;
		bytes_make(bytes, blob);
		name = tmem_grain_add(client, owner, bytes, blob->size, NULL);
		if (!name)
			break;
		freed = tmem_grain_remove(client, blob->name);
		blob->name = name;
		if (freed)
			tmem_client_frame_free(client, freed);
		if (freed == frame)
			return true;
	}
	tmem_grain_unseal(client, frame);
	return true;
}

static void test_little_is_lost(void **state)
{
	uint32_t n, round;

	(void)state;
	for (n = 0; n < BLOBS; n++)
		assert_true(blob_add(n, size_random(), NULL));
	all_check();
	loss_check("filled");
	for (round = 0; round < 10 * BLOBS; round++) {
		n = (uint32_t)(model_random() % BLOBS);
		blob_remove(n);
		assert_true(blob_add(n, size_random(), NULL));
		if (round % 64 == 0)
			squeeze();
	}
	all_check();
	loss_check("each replaced ten times");
	for (n = 0; n < BLOBS; n++)
		if (model_random() % 2)
			blob_remove(n);
	for (round = 0; round < BLOBS && client->grains.room > 4 * TMEM_PAGE_SIZE && squeeze();
	     round++)
		continue;
	all_check();
	loss_check("half of them gone");
	for (n = 0; n < BLOBS; n++)
		if (!blobs[n].name)
			assert_true(blob_add(n, size_random(), NULL));
	all_check();
	loss_check("filled again");
	all_remove();
}

/* Without a frame to be had nothing changes, whatever is asked for. */
static void test_no_memory(void **state)
{
	uint32_t n, round, refused = 0;

	(void)state;
	client->cap = 100;
	for (round = 0; round < 4 * BLOBS; round++) {
		n = (uint32_t)(model_random() % BLOBS);
		if (blobs[n].name)
			blob_remove(n);
		else if (!blob_add(n, size_random(), NULL))
			refused++;
		if (round % 1000 == 0)
			all_check();
	}
	assert_in_range(refused, BLOBS / 4, 4 * BLOBS);
	assert_in_range(client->charged, 90, 100);
	all_check();
	client->cap = UINT64_MAX;
	all_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_size, client_start, client_stop),
		cmocka_unit_test_setup_teardown(test_tiny, client_start, client_stop),
		cmocka_unit_test_setup_teardown(test_spare, client_start, client_stop),
		cmocka_unit_test_setup_teardown(test_little_is_lost, client_start, client_stop),
		cmocka_unit_test_setup_teardown(test_no_memory, client_start, client_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The store's calls, short enough for tests to read well: pages that show one character, no two
 * of them alike.
 */
#ifndef TESTS_UNIT_MODEL_CALLS_H
#define TESTS_UNIT_MODEL_CALLS_H

#include <stdint.h>

#include <tidepool/abi.h>

#include "tmem/tmem.h"

#define PERSISTENT (TIDEPOOL_POOL_VERSION | TIDEPOOL_POOL_PERSISTENT)
#define EPHEMERAL  TIDEPOOL_POOL_VERSION

/* Frames that a client and its first pool take before there is a page. */
#define CLIENT_FRAMES 2u
#define POOL_FRAMES   3u
#define CELL_FRAMES   1u /* while there are few records */
#define BASE_FRAMES   (CLIENT_FRAMES + POOL_FRAMES + CELL_FRAMES)

/* Whose calls these are. */
extern struct tmem_client *client;

struct tmem_key key_at(uint64_t oid, uint64_t index);
int64_t put(uint64_t pool, uint64_t oid, uint64_t index, char fill);

/* Returns tmem_get()'s error, or what the page was filled with. */
int64_t get(uint64_t pool, uint64_t oid, uint64_t index);
int64_t flush(uint64_t pool, uint64_t oid, uint64_t index);
int64_t flush_object(uint64_t pool, uint64_t oid);
int64_t pool_create(uint64_t flags);
struct tmem_stats stats_of(struct tmem_client *of);
void client_destroy(struct tmem_client *victim);

/* Exchange the client of the test for one with a cap. */
void client_cap(uint64_t cap);

/* Each test starts with a host that has all the memory it wants, and a client without a cap. */
int calls_setup(void **state);

/* Each test ends with the client destroyed, and its memory all back. */
int calls_teardown(void **state);

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, calls_setup, calls_teardown)

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random calls to a page store, each answer compared with the reference model's (model.h): for the
 * store as a library (test_tmem_engine.c, the fuzzer) and, in a tiny guest, for the one behind
 * hypercalls (tests/guest/model.c). Which ephemeral pages the store drops is its own business here;
 * what it returns must be what was put last, and persistent pages must be there.
 *
 * Freestanding. One engine at a time.
 */
#ifndef TESTS_UNIT_ENGINE_H
#define TESTS_UNIT_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "tmem/tmem.h"

#define ENGINE_CALL 4u /* bytes that choose a call */

/* A page of order 9; of each of its parts only this word tells what it is. */
#define ENGINE_PARTS 512u

/* The store. @client: below the number of clients. Calls that ask to be repeated return so. */
struct engine_store {
	int64_t (*pool_create)(unsigned int client, uint64_t flags, const uint64_t uuid[2]);
	int64_t (*pool_destroy)(unsigned int client, uint64_t pool);
	int64_t (*put)(unsigned int client, uint64_t pool, const struct tmem_key *key,
		       const void *page);
	int64_t (*get)(unsigned int client, uint64_t pool, const struct tmem_key *key, void *page);
	int64_t (*flush_page)(unsigned int client, uint64_t pool, const struct tmem_key *key);
	int64_t (*flush_object)(unsigned int client, uint64_t pool, const uint64_t oid[3]);
	/*
	 * READ, WRITE and XCHG of all of a page, or of a @part of one of 2 MiB. What they do to
	 * less, test_tmem_model.c sees.
	 */
	int64_t (*read)(unsigned int client, uint64_t pool, const struct tmem_key *key,
			unsigned int part, void *page);
	int64_t (*write)(unsigned int client, uint64_t pool, const struct tmem_key *key,
			 unsigned int part, const void *page);
	int64_t (*exchange)(unsigned int client, uint64_t pool, const struct tmem_key *key,
			    unsigned int part, void *page);
	int64_t (*flush_range)(unsigned int client, uint64_t pool, const struct tmem_key *first,
			       uint64_t count);
	/* Pages of 2 MiB; NULL: no such pools. */
	int64_t (*huge_put)(unsigned int client, uint64_t pool, const struct tmem_key *key,
			    const void *page, uint64_t cookie);
	int64_t (*huge_get)(unsigned int client, uint64_t pool, const struct tmem_key *key,
			    void *page, uint64_t cookie);
	int64_t (*huge_flush)(unsigned int client, uint64_t pool, const struct tmem_key *key);
	void *huge; /* a page of 2 MiB, zeroed, for these */
	/* Let the client's pages only become fewer, or not any more; NULL: cannot. */
	void (*freeze)(unsigned int client, bool on);
	/* Save the client and restore it elsewhere, from where it goes on. Returns whether there
	 * was room. NULL: cannot. */
	bool (*move)(unsigned int client);
	/* Some of what an idle CPU does; @scarce: as tmem_idle_step()'s. NULL: it does. */
	void (*idle)(bool scarce);
	/* The name of an ephemeral pool that all clients share; NULL: none. */
	const uint64_t *shared;
	/* What is wrong: ends the test. */
	void (*fail)(const char *what, int64_t value);
};

/* engine_start - nothing is there yet. @store: kept; @clients: up to MODEL_CLIENTS */
void engine_start(const struct engine_store *store, unsigned int clients);

/* engine_call - the call that four bytes choose */
void engine_call(const uint8_t call[ENGINE_CALL]);

/*
 * engine_count - pages that a client may hold, in its own pools of 4 KiB pages
 * @persistent: only those that it must hold
 */
uint64_t engine_count(unsigned int client, bool persistent);

/* Whether a client has a pool of 2 MiB pages open, whose parts count as well. */
bool engine_has_huge(unsigned int client);

#endif

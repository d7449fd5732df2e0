/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host for the page store under test: hands out 2 MiB blocks full of garbage, checks what comes
 * back, and refuses when it is told to.
 */
#ifndef TESTS_UNIT_MODEL_HOST_H
#define TESTS_UNIT_MODEL_HOST_H

#include <stdint.h>

#include "tmem/tmem.h"

#define MODEL_HOST_CPUS 8u /* more than there are threads at any time */

struct model_host {
	uint64_t limit;			   /* blocks there are */
	uint64_t fail_in;		   /* refuse each n-th request on average; 0: never */
	uint64_t live;			   /* blocks handed out now */
	uint64_t freed;			   /* blocks taken back so far */
	uint64_t failures;		   /* requests refused so far */
	uint64_t copies;		   /* pages copied so far */
	uint64_t compressed, decompressed; /* likewise; calls */
	uint64_t compared;		   /* pages so far */
	const void *next;		   /* what the last page that was put comes before */
	/* The fingerprint of a page, if set; else a good one. */
	uint64_t (*hash)(const void *page);
	/* Called, if set, before a page is copied, and while a lock is waited for. */
	void (*on_copy)(void);
	void (*on_relax)(void);
};

extern struct model_host model_host;

/* What model_host_start() hands to the store: memory of one node. */
extern const struct tmem_host model_host_calls;

/* Set model_host up with @limit blocks and tmem_init() the store with it. Returns the latter's. */
int model_host_start(uint64_t limit);

/* The same for a host that is somewhat different. */
int model_host_start_with(const struct tmem_host *host, uint64_t limit);

/* tmem_exit(), and fail the test unless every block is back. */
void model_host_stop(void);

/* Take blocks away from the host in every other round, and have some refused in every third. */
void model_host_narrow(uint64_t seed);

/* The main() of a test that makes random calls: @count rounds with seeds from 0 on. */
int model_rounds(uint64_t count, void (*round)(uint64_t seed));

/* The next of a sequence of random numbers, the same in each run. Context: one thread. */
uint64_t model_random(void);
void model_random_seed(uint64_t seed);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the store's benchmark, and what they share. */
#ifndef TESTS_BENCH_STORE_PARTS_H
#define TESTS_BENCH_STORE_PARTS_H

#include <stdint.h>

#include <tidepool/abi.h>

#include "tmem/tmem.h"

#define EPHEMERAL  TIDEPOOL_POOL_VERSION
#define PERSISTENT (TIDEPOOL_POOL_VERSION | TIDEPOOL_POOL_PERSISTENT)

#define PAGES_PER_OBJECT 16u

/* Name page @n: objects as files are, of 16 pages. */
static inline struct tmem_key key_of(uint64_t n)
{
	return (struct tmem_key){.oid = {n / PAGES_PER_OBJECT, 7, 0},
				 .index = n % PAGES_PER_OBJECT};
}

/* Ends the program, saying where, if the store did not do what a figure is about. */
void must(int64_t ret, int64_t wanted, const char *what);

/* A put that has to succeed. Inline: it is part of what is measured. */
static inline void put_page(struct tmem_client *client, uint64_t pool, struct tmem_key key,
			    const void *page)
{
	must(tmem_put(client, pool, &key, page), 0, "put");
}

struct tmem_client *client_create(uint64_t cap);
struct tmem_client *client_create_dedup(uint64_t cap, uint32_t dedup);
void client_destroy(struct tmem_client *client);
uint64_t pool_create(struct tmem_client *client, uint64_t flags);

/* What an operation costs beside a copy. Context: host_start() was called; so for the next two. */
void store_operations(void);

/* The longest call of those that are done in steps; memory for metadata. */
void store_bounds(void);

/* Something done in steps, whose longest is asked for. Each round ends with nothing left. */
struct bound {
	const char *name;
	void (*prepare)(void);
	int64_t (*step)(void); /* returns -TIDEPOOL_EAGAIN until it has come to the end, then 0 */
	void (*finish)(void);  /* or NULL */
};

void bound_measure(const struct bound *bound);

/* The same for blocks of memory that the host wants back: a part of store_bounds(). */
void store_bounds_relinquish(void);

/* What it costs to look for equal pages. */
void store_dedup(void);

/* What two threads do together, beside what two threads copy. */
void store_threads(void);

/* What compression costs and saves, with pages of real programs. Context: as above. */
void store_compress(void);

/* What it costs to find a page, in loads from memory. Context: without host_start(). */
void store_lookups(void);

/* The same among 16 million pages, which takes a minute to set up. */
void store_lookups_16m(void);

/* store_huge.c, a part of compress: @pages of @count that compress */
void store_huge(char *pages, uint64_t count);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reference model of the page store: what docs/abi.md says, in the most obvious way, for one
 * caller and a small world of keys. It has no memory to run out of; the test tells it when the
 * store refused or evicted.
 */
#ifndef TESTS_UNIT_MODEL_H
#define TESTS_UNIT_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_CLIENTS 3u
#define MODEL_POOLS   5u
#define MODEL_OBJECTS 6u
#define MODEL_INDICES 90u /* more than a bounded step drops */

/* Pages of 2 MiB: indices that are used, and parts that are changed by themselves. */
#define MODEL_HUGE_KEYS 2u
#define MODEL_PARTS	4u

struct model_page {
	uint64_t stamp; /* stands for the contents; 0: no page */
};

struct model_pool {
	bool open;
	bool persistent;
	bool huge;   /* pages of 2 MiB */
	bool shared; /* its pages are model.shared's */
	struct model_page pages[MODEL_OBJECTS][MODEL_INDICES];
};

struct model {
	bool frozen[MODEL_CLIENTS];
	struct model_pool shared;
	struct model_pool pools[MODEL_CLIENTS][MODEL_POOLS];
	/* Stand for the contents of parts that were changed since the page was put; 0: was not. */
	uint64_t parts[MODEL_CLIENTS][MODEL_POOLS][MODEL_OBJECTS][MODEL_HUGE_KEYS][MODEL_PARTS];
};

/* Where a page is. */
struct model_place {
	unsigned int client, pool, object, index;
};

struct model_page *model_page(struct model *model, struct model_place at);

/* The stamps of a page of 2 MiB, MODEL_PARTS of them; at.index below MODEL_HUGE_KEYS. */
uint64_t *model_parts(struct model *model, struct model_place at);

void model_put(struct model *model, struct model_place at, uint64_t stamp);

/* Returns the page's stamp, or 0. */
uint64_t model_get(struct model *model, struct model_place at);

/* The flushes return the number of pages that they dropped. */
uint64_t model_flush_page(struct model *model, struct model_place at);
uint64_t model_flush_object(struct model *model, struct model_place at);
uint64_t model_flush_pool(struct model *model, struct model_place at);

/* Pages that a client holds, all of them or the ephemeral ones. */
uint64_t model_count(const struct model *model, unsigned int client, bool ephemeral_only);

#endif

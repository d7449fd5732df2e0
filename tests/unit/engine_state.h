/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the engine of random calls share: the model, and what an answer does to it. */
#ifndef TESTS_UNIT_ENGINE_STATE_H
#define TESTS_UNIT_ENGINE_STATE_H

#include "tests/unit/engine.h"
#include "tests/unit/model.h"

#define ENGINE_WORDS (TMEM_PAGE_SIZE / sizeof(uint64_t))

extern struct model engine_model;
extern const struct engine_store *engine_with;
extern uint64_t engine_page[ENGINE_WORDS]; /* what calls put, and get into */

/* Fail unless it is so. */
void engine_expect(bool good, const char *what, int64_t value);

struct model_pool *engine_pool_of(struct model_place at);
struct model_page *engine_page_of(struct model_place at);
struct tmem_key engine_key_of(struct model_place at);

/* The answer to a put of @stamp, whole or in steps. */
void engine_put_answer(struct model_place at, uint64_t stamp, int64_t ret);

/* The answer to a get. Returns the stamp that the page must be, or 0: there is none. */
uint64_t engine_get_answer(struct model_place at, int64_t ret);

void engine_flush_answer(struct model_place at, int64_t ret);

/* Flush @count indices from a page's on. */
void engine_flush_range(struct model_place at, uint64_t count);

/* A call in a pool of order 9. @choice, @stamp: what it does */
void engine_huge_call(struct model_place at, unsigned int choice, uint64_t stamp);

#endif

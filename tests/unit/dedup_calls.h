/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages with numbered contents, as tests of deduplication put and expect them. */
#ifndef TESTS_UNIT_DEDUP_CALLS_H
#define TESTS_UNIT_DEDUP_CALLS_H

#include <stdint.h>

#include "tmem/tmem.h"

#define DEDUP_WORDS (TMEM_PAGE_SIZE / sizeof(uint64_t))

/* The page that the calls put, and get into. */
extern uint64_t dedup_page[DEDUP_WORDS];

/* A guest with a persistent pool 0 and an ephemeral pool 1. @dedup: as struct tmem_limits.dedup */
struct tmem_client *dedup_guest_create(uint64_t cap, uint64_t reserve, uint32_t dedup);

/* Word n of a page is content * 1000 + n. */
void dedup_page_fill(uint64_t content);
int64_t dedup_put_as(struct tmem_client *guest, uint64_t pool, uint64_t index, uint64_t content);
int64_t dedup_get_as(struct tmem_client *guest, uint64_t pool, uint64_t index);

/* Fail unless a page is there, and has the content. */
void dedup_expect_as(struct tmem_client *guest, uint64_t pool, uint64_t index, uint64_t content);

/* Fail unless there was a page. */
void dedup_flush_as(struct tmem_client *guest, uint64_t pool, uint64_t index);

/* Frames that are saved, by all clients. */
uint64_t dedup_saved(void);

/* Fail unless every frame there is is free or charged, holds counted once, to one who is given. */
void dedup_accounts_check(struct tmem_client *const *guests, unsigned int count);

#endif

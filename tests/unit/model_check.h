/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page store beside its model: who has what, and whether a call's answer and what it did to the
 * accounts are among those that it may give. Each of these fails the test if they are not.
 */
#ifndef TESTS_UNIT_MODEL_CHECK_H
#define TESTS_UNIT_MODEL_CHECK_H

#include <tidepool/abi.h>

#include "tests/unit/model.h"
#include "tmem/tmem.h"

/* A client with nothing in it, and a new pool: itself and its index. */
#define CLIENT_FRAMES 2u
#define POOL_FRAMES   3u

extern struct model model;
extern struct tmem_client *clients[MODEL_CLIENTS];
extern uint64_t caps[MODEL_CLIENTS], reserves[MODEL_CLIENTS];
extern bool compresses[MODEL_CLIENTS];
extern struct tmem_stats expected[MODEL_CLIENTS]; /* brought up to date by the calls below */

/* Begin with clients that have nothing. */
void check_start(void);

/* The accounts after any call: see there. */
void check_accounts(void);

/* Pages of a client that were evicted, and the model does not know which. */
uint64_t check_unknown(unsigned int client);

/*
 * The evictions of a call that wanted at most @frames. The store may only evict, and may only have
 * refused, at the cap, or for want of the host's memory above the reserve.
 * @insists: the call takes from others, too, before it is refused
 */
void check_evictions(unsigned int client, bool refused, bool insists, uint64_t frames,
		     uint64_t failures_before);

/* The store says that a page is not there which the model has: it was evicted, then. */
void check_evicted(struct model_place at);

/* Whether a page's data may be in no frame of its own, so that to change it may take one. */
bool check_lacks_frame(struct model_place at);

/* Whether a put or write that was done found a page, going by the pages that are held now. */
bool check_replaced(struct model_place at);

/* What a put or write has come to. @framed: it needed a frame where the old page had none. */
void check_put(struct model_place at, int64_t ret, bool framed, uint64_t failures_before);

/* The memory that an exchange took, or did not get. */
void check_exchange(struct model_place at, bool refused, uint64_t failures_before);

/* Whether a call, which may be, did not find its page. */
bool check_missing(struct model_place at, int64_t ret);

/* Of @known pages that the model had, @dropped were there to be flushed; the others were evicted.
 */
void check_flush(struct model_place at, uint64_t known, uint64_t dropped);

#endif

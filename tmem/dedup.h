/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deduplication: which contents a client has, by fingerprint, and how many of its pages have each.
 *
 * Every client has a table of its own, in frames charged to it: from a part of the fingerprint,
 * the mark, to a frame and the number of the client's pages that refer to it. A content that is in
 * the table is listed. So a client is charged once for each content, however many pages have it,
 * and what the table costs is its own.
 *
 * Clients of one group look into each other's tables, and then hold the same frame: each has it in
 * its own table and is charged for it, as if it had a frame of its own; the frame counts its
 * holders (tmem/hold.h) and goes with the last. So nobody's charge depends on what others do,
 * and clients may go in any order. A client with a reserve is in no group: when it gives up a frame
 * that others hold, none becomes free that could be set aside for it again.
 *
 * A listed frame is never written to. The table grows by linear hashing, a bucket at a time, and
 * keeps its size until the client goes. A bucket is a cache line of eight contents; one that is
 * full takes no more, and then the content is not listed, which costs nothing but the sharing.
 *
 * Context of every function, unless it says otherwise: any locks held but a table's, a group's and
 * the frame allocator's.
 */
#ifndef TMEM_DEDUP_H
#define TMEM_DEDUP_H

#include <stdbool.h>
#include <stdint.h>

#include "tmem/list.h"
#include "tmem/lock.h"
#include "tmem/tmem.h"

struct tmem_client;
struct tmem_table;

/* A client's part in it. */
struct tmem_dedup {
	uint32_t domain;	  /* constant; as struct tmem_limits.dedup */
	struct tmem_table *table; /* one frame; NULL until there is something to list */
	struct tmem_link member;  /* in the group's list; while there is a group */
};

/* The part of a fingerprint that a content is found by, and which its pages remember. */
#define TMEM_MARK_BITS 29u

/* The mark of a fingerprint. Context: any. */
uint32_t tmem_dedup_mark(uint64_t fingerprint);

/* Bring near what the next functions look at for a mark. A guess: it needs no lock. Context: any.
 */
void tmem_dedup_expect(const struct tmem_client *client, uint32_t mark);

/* Pages of the client beyond one for each content: what it saves in frames. Context: any. */
uint64_t tmem_dedup_shared(const struct tmem_client *client);

/* tmem_dedup_init - enter a client that was just created. Context: no lock held. */
void tmem_dedup_init(struct tmem_client *client, const struct tmem_limits *limits);

/*
 * tmem_dedup_release - give the table's frames back, as far as the budget goes
 * @budget: as tmem_pool_release()'s
 *
 * Returns whether all are given back. Context: no lock held; the client has no pages.
 */
bool tmem_dedup_release(struct tmem_client *client, unsigned int *budget);

enum tmem_dedup_found {
	TMEM_DEDUP_NONE,
	TMEM_DEDUP_OWN,	   /* the client is charged for it already */
	TMEM_DEDUP_OTHERS, /* it is not: other clients of the group have it */
};

/*
 * tmem_dedup_find - find a content that equals a page's, and have it stay
 * @src:   the page; may change meanwhile: a content was found that equals what was read
 * @frame: set to the content's frame, when there is one. TMEM_DEDUP_OWN: referred to, until
 *	   tmem_dedup_drop(). TMEM_DEDUP_OTHERS: held, until tmem_dedup_enter() or
 *	   tmem_dedup_forget().
 *
 * Compares with two contents of the client's own and two of others at most.
 * Context: the client's lock not held, so for the next three.
 */
enum tmem_dedup_found tmem_dedup_find(struct tmem_client *client, uint32_t mark, const void *src,
				      void **frame);

/*
 * tmem_dedup_enter - refer to a frame that is held
 *
 * Returns TMEM_DEDUP_OTHERS: a charge that the caller has is for this frame from now on;
 * TMEM_DEDUP_OWN: it was not needed, the client has meanwhile come to refer to the frame;
 * TMEM_DEDUP_NONE: there was no room, and the frame is forgotten.
 */
enum tmem_dedup_found tmem_dedup_enter(struct tmem_client *client, uint32_t mark, void *frame);

/* End a hold. */
void tmem_dedup_forget(void *frame);

/*
 * tmem_dedup_candidate - find a content with a mark in a table, and hold it for another client
 * @skip: so many are passed over, counted down
 *
 * Returns its frame or NULL. Context: @owner's group locked.
 */
void *tmem_dedup_candidate(struct tmem_client *owner, uint32_t mark, unsigned int *skip);

/* tmem_dedup_list - list a frame that a page has. Returns false without room for it. */
bool tmem_dedup_list(struct tmem_client *client, uint32_t mark, void *frame);

/*
 * tmem_dedup_claim - have a listed frame alone, to write to it
 *
 * Returns whether the caller's page was the only one to refer to it; then it is not listed now.
 */
bool tmem_dedup_claim(struct tmem_client *client, uint32_t mark, void *frame);

/* Whether a claim would succeed now. */
bool tmem_dedup_is_alone(struct tmem_client *client, uint32_t mark, const void *frame);

enum tmem_dedup_left {
	TMEM_DEDUP_USED, /* by other pages of the client */
	TMEM_DEDUP_HELD, /* by other clients only: the caller ends the charge */
	TMEM_DEDUP_FREE, /* by nobody: the frame is the caller's, and still charged */
};

/* tmem_dedup_drop - end a reference. Returns who still uses the frame. */
enum tmem_dedup_left tmem_dedup_drop(struct tmem_client *client, uint32_t mark, void *frame);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What has gone since a client's save began.
 *
 * The pages of a client that is being saved only become fewer (it is frozen), and each that goes
 * leaves its cell behind as an entry of the log. So the log needs no memory that the page did not
 * have: it cannot overflow, and it is charged. The save walks the pages meanwhile; a page that goes
 * under its cursor moves that on.
 */
#ifndef TMEM_LOG_H
#define TMEM_LOG_H

#include "tmem/page.h"

/* An entry: the cell of a page that was, whose key it keeps. */
struct tmem_gone {
	struct tmem_key key;
	struct tmem_gone *next;
	uint64_t pool; /* its number */
};

_Static_assert(offsetof(struct tmem_page, oid) == offsetof(struct tmem_gone, key.oid) &&
		       offsetof(struct tmem_page, index) == offsetof(struct tmem_gone, key.index),
	       "the key stays where it is");
/* Who empties a frame of blobs looks at a page's home while the page goes: tmem/compress.c. */
_Static_assert(sizeof(struct tmem_gone) <= offsetof(struct tmem_page, home),
	       "an entry fits a cell, and the home stays where it is");

/*
 * tmem_log_page - note that a page goes, before it is taken out of anything
 * Context: lane lock held.
 */
void tmem_log_page(struct tmem_page *page);

/*
 * tmem_log_cell - make an entry of the cell of a page that was taken out of everything
 *
 * Returns false when nothing is logged: the cell is the caller's to free. Context: as above.
 */
bool tmem_log_cell(struct tmem_pool *pool, struct tmem_page *page);

/* tmem_log_take - take an entry off the log, to be freed as a cell; NULL: none. Client lock held.
 */
struct tmem_gone *tmem_log_take(struct tmem_client *client);

/* tmem_log_drop - free up to TMEM_STEP entries. Returns whether none is left. No lock held. */
bool tmem_log_drop(struct tmem_client *client);

/* The page behind @page in its shard, or the first one; NULL: none. Context: shard lock held. */
struct tmem_page *tmem_log_next(const struct tmem_page *page);
struct tmem_page *tmem_log_first(const struct tmem_shard *shard);

#endif

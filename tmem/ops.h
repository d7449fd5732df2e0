/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations on one page for other parts of the store: nothing trimmed, and parts of pages of 2 MiB
 * are not counted. */
#ifndef TMEM_OPS_H
#define TMEM_OPS_H

#include "tmem/pool.h"

/* tmem_put_in - as tmem_put_then(), in a pool that @access allows */
int64_t tmem_put_in(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		    const void *page, const void *next, unsigned int access);

/* tmem_get_in - as tmem_get() */
int64_t tmem_get_in(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		    void *page, unsigned int access);

/* tmem_flush_in - as tmem_flush_page(); counts for the pool's owner what was flushed */
int64_t tmem_flush_in(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		      unsigned int access);

/* tmem_read_in - as tmem_read() */
int64_t tmem_read_in(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		     const struct tmem_span *span, void *page, unsigned int access);

/*
 * tmem_change_in - change a part of a page that is there
 * @data: what it is from now on, as of tmem_write()
 * @back: where what it was goes, as of tmem_exchange(), which may be @data; or NULL
 *
 * Returns as tmem_exchange(), which it is counted as.
 */
int64_t tmem_change_in(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		       const struct tmem_span *span, const void *data, void *back,
		       unsigned int access);

#endif

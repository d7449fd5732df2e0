/* SPDX-License-Identifier: BSD-2-Clause */
/* Between pages of 2 MiB (tmem/huge.c) and the operations on a part of one (tmem/hugepart.c). */
#ifndef TMEM_HUGE_H
#define TMEM_HUGE_H

#include "tmem/pool.h"

/* A page that was there when its head was looked at. */
struct tmem_huge_claim {
	struct tmem_key first; /* its first part's; the others' indices follow */
	uint32_t word;	       /* what its head said */
};

/*
 * tmem_huge_claim - see that there is a page
 * @access: TMEM_LOOK, or TMEM_CHANGE, which makes the page the most recent one
 *
 * Returns 0 with @claim set, or the error. Context: no lock held; so for the next one.
 */
int64_t tmem_huge_claim(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
			enum tmem_access access, struct tmem_huge_claim *claim);

/* A part of it was missing: let the page be gone for everybody, unless it is another one by now. */
void tmem_huge_miss(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
		    const struct tmem_huge_claim *claim);

/* Whether a pool has no page of an object, nor any part of one. Returns 1, 0 or the error. */
int64_t tmem_huge_object_is_gone(struct tmem_client *client, uint64_t pool, const uint64_t oid[3]);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stream that a client's pools are saved as: records of 64 bytes, some with a payload behind.
 * All numbers are little-endian.
 *
 *   BEGIN   words: magic, version, pools, pages held; pool: where generations go on (tmem/huge.c)
 *   POOL    words: flags as of NEW_POOL, uuid low, uuid high, 0; each pool, ascending
 *   PAGE    words: object id, index; payload: the page. Any order, each key once
 *   FILLED  likewise; payload: 8 bytes, the page's 32-bit word twice
 *   GONE    words: object id, index; a page that is no more. It may have been sent or not
 *   CLOSED  a pool that is no more
 *   END     words: how many PAGE and FILLED, GONE, CLOSED, and records in all; the last one
 *
 * Each record's checksum covers it, its payload, and the checksum before, and so all that precedes:
 * what is cut, changed, left out, repeated or moved is found at the record where it begins.
 */
#ifndef TMEM_STREAM_H
#define TMEM_STREAM_H

#include <stdint.h>

#define TMEM_STREAM_MAGIC   0x6c6f6f7065646974ull /* "tidepool" */
#define TMEM_STREAM_VERSION 1u

enum tmem_record_kind {
	TMEM_RECORD_BEGIN = 1,
	TMEM_RECORD_POOL,
	TMEM_RECORD_PAGE,
	TMEM_RECORD_FILLED,
	TMEM_RECORD_GONE,
	TMEM_RECORD_CLOSED,
	TMEM_RECORD_END,
};

struct tmem_record {
	uint32_t kind;
	uint32_t length; /* payload included */
	uint64_t number; /* from 0 */
	uint64_t pool;
	uint64_t words[4];
	uint64_t checksum; /* of all that is above, of the payload, seeded with the last record's */
};

_Static_assert(sizeof(struct tmem_record) == 64, "the format");

/* tmem_stream_length - a record's length with its payload; 0: there is no such kind */
uint32_t tmem_stream_length(uint32_t kind);

/*
 * tmem_stream_checksum - what record->checksum has to be
 * @payload: record->length minus sizeof(*record) bytes
 * @last:    the record's before, 0 for the first
 */
uint64_t tmem_stream_checksum(const struct tmem_record *record, const void *payload, uint64_t last);

#endif

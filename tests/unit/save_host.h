/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams of saved clients for tests: kept whole, and taken by other clients. */
#ifndef TESTS_UNIT_SAVE_HOST_H
#define TESTS_UNIT_SAVE_HOST_H

#include "tmem/tmem.h"

struct stream {
	unsigned char *bytes;
	size_t size, room;
};

/* Read on until there is no more before tmem_save_finish(), or no more at all. */
void stream_read(struct tmem_save *save, struct stream *stream);

/* Begin, read, finish, read, end. */
void stream_save(struct tmem_client *of, struct stream *stream);

/*
 * Restore, from copies of just the length that is handed over, and end. @chunk: bytes handed over
 * at a time, at most. Returns tmem_restore_end()'s result, and in @fault what was wrong.
 */
int stream_restore(struct tmem_client *to, const struct stream *stream, size_t chunk,
		   enum tmem_restore_fault *fault);

void stream_free(struct stream *stream);

#endif

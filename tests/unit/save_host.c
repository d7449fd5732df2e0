/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <tidepool/abi.h>

#include "tests/unit/save_host.h"

#define BUFFER (3 * TMEM_SAVE_BUFFER_MIN)

static char staging[2][TMEM_PAGE_SIZE] __attribute__((aligned(TMEM_PAGE_SIZE)));

void stream_read(struct tmem_save *save, struct stream *stream)
{
	int64_t ret;

	do {
		if (stream->room - stream->size < BUFFER) {
			stream->room = 2 * stream->room + BUFFER;
			stream->bytes = realloc(stream->bytes, stream->room);
			assert_non_null(stream->bytes);
		}
		ret = tmem_save_read(save, stream->bytes + stream->size, BUFFER);
		assert_true(ret >= 0 || ret == -TIDEPOOL_EAGAIN);
		stream->size += ret > 0 ? (size_t)ret : 0;
	} while (ret != 0);
}

void stream_save(struct tmem_client *of, struct stream *stream)
{
	struct tmem_save save;

	stream->size = 0;
	assert_int_equal(tmem_save_begin(&save, of, staging[0]), 0);
	assert_int_equal(tmem_save_finish(&save), -TIDEPOOL_EAGAIN);
	stream_read(&save, stream);
	assert_int_equal(tmem_save_finish(&save), 0);
	stream_read(&save, stream);
	assert_int_equal(save.phase, TMEM_SAVE_DONE);
	while (tmem_save_end(&save) == -TIDEPOOL_EAGAIN)
		;
}

int stream_restore(struct tmem_client *to, const struct stream *stream, size_t chunk,
		   enum tmem_restore_fault *fault)
{
	struct tmem_restore restore;
	size_t at = 0;
	int ret;

	assert_int_equal(tmem_restore_begin(&restore, to, staging[1]), 0);
	while (at < stream->size) {
		size_t size = stream->size - at < chunk ? stream->size - at : chunk;
		unsigned char *copy = malloc(size); /* so that ASan sees its end */
		int64_t taken;

		assert_non_null(copy);
		memcpy(copy, stream->bytes + at, size);
		taken = tmem_restore_write(&restore, copy, size);
		free(copy);
		assert_true(taken == -TIDEPOOL_EBADMSG || (taken >= 0 && taken <= (int64_t)size));
		if (taken <= 0)
			break;
		at += (size_t)taken;
	}
	do
		ret = tmem_restore_end(&restore);
	while (ret == -TIDEPOOL_EAGAIN);
	*fault = restore.fault;
	assert_int_equal(ret, *fault ? -TIDEPOOL_EBADMSG : 0);
	assert_true(strlen(tmem_restore_reason(&restore)) > 5);
	return ret;
}

void stream_free(struct stream *stream)
{
	free(stream->bytes);
	*stream = (struct stream){0};
}

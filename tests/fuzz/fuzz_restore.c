/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream that somebody else wrote, restored: it is refused and leaves nothing, or what it makes
 * can be saved and restored again. The first byte says whether numbers and checksums are put right
 * before, so that what is behind them is reached; the second is the client's cap.
 */
#include <string.h>

#include <tidepool/abi.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/store_host.h"
#include "tmem/stream.h"
#include "tmem/tmem.h"

#define HEADER 2u

static char pages[2][TMEM_PAGE_SIZE] __attribute__((aligned(TMEM_PAGE_SIZE)));

/* Number and sign the records, as far as they can be told apart. */
static void sign(uint8_t *data, size_t size)
{
	uint64_t last = 0, number = 0;
	struct tmem_record record;

	while (size >= sizeof(record)) {
		memcpy(&record, data, sizeof(record));
		record.kind = 1 + (record.kind - 1) % TMEM_RECORD_END;
		record.length = tmem_stream_length(record.kind);
		if (record.length > size)
			return;
		record.number = number++;
		record.checksum = last = tmem_stream_checksum(&record, data + sizeof(record), last);
		memcpy(data, &record, sizeof(record));
		data += record.length;
		size -= record.length;
	}
}

static struct tmem_client *client_make(uint64_t cap)
{
	struct tmem_client *made = tmem_client_create(&(const struct tmem_limits){.cap = cap});

	check(made != NULL);
	return made;
}

static void client_destroy(struct tmem_client *client)
{
	while (tmem_client_destroy(client) == -TIDEPOOL_EAGAIN)
		;
}

static uint64_t held(struct tmem_client *client)
{
	struct tmem_stats stats;

	tmem_client_stats(client, &stats);
	return stats.held;
}

static int restore_all(struct tmem_restore *restore, const uint8_t *data, size_t size)
{
	size_t at = 0;
	int64_t taken;
	int ret;

	do {
		taken = tmem_restore_write(restore, data + at, size - at);
		check(taken <= (int64_t)(size - at));
		at += taken > 0 ? (size_t)taken : 0;
	} while (taken > 0);
	do
		ret = tmem_restore_end(restore);
	while (ret == -TIDEPOOL_EAGAIN);
	check(ret == 0 || (ret == -TIDEPOOL_EBADMSG && restore->fault));
	return ret;
}

/* What was restored is saved like anything else. */
static void save_again(struct tmem_client *from)
{
	static char buffer[1u << 20];
	struct tmem_client *to = client_make(UINT64_MAX);
	struct tmem_restore restore;
	struct tmem_save save;
	size_t size = 0;
	int64_t got;

	check(tmem_save_begin(&save, from, pages[0]) == 0);
	check(tmem_restore_begin(&restore, to, pages[1]) == 0);
	while (save.phase != TMEM_SAVE_DONE && size + TMEM_SAVE_BUFFER_MIN <= sizeof(buffer)) {
		got = tmem_save_read(&save, buffer + size, sizeof(buffer) - size);
		if (got == 0)
			check(tmem_save_finish(&save) == 0);
		size += got > 0 ? (size_t)got : 0;
	}
	if (save.phase == TMEM_SAVE_DONE &&
	    restore_all(&restore, (const uint8_t *)buffer, size) == 0)
		check(held(to) == held(from));
	else
		check(save.phase != TMEM_SAVE_DONE || restore.fault == TMEM_RESTORE_MEMORY);
	while (tmem_save_end(&save) == -TIDEPOOL_EAGAIN)
		;
	client_destroy(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tmem_restore restore;
	struct tmem_client *client;
	uint8_t *stream;

	if (size < HEADER)
		return 0;
	stream = malloc(size - HEADER + 1);
	check(stream != NULL);
	memcpy(stream, data + HEADER, size - HEADER);
	if (data[0] % 8)
		sign(stream, size - HEADER);
	fuzz_host_start(FUZZ_HOST_BLOCKS);
	client = client_make(data[1] < 128 ? UINT64_MAX : data[1] - 126u);
	check(tmem_restore_begin(&restore, client, pages[0]) == 0);
	if (restore_all(&restore, stream, size - HEADER) == 0)
		save_again(client);
	else
		check(held(client) == 0);
	client_destroy(client);
	fuzz_host_stop();
	free(stream);
	return 0;
}

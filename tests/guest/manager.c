/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A manager: saves the pools of the guest "source" while that runs, and restores them to the guest
 * "target"; both are saved.c's. A stream with a wrong byte is tried first.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/pages.h"
#include "tests/guest/lib/test.h"

#define READY	   1u
#define DONE	   2u
#define STREAM_MAX (8u << 20)
#define WRONG_BYTE 300u /* in the first page's record: behind three pools */
#define TRIES	   1000000u

const char test_name[] = "manager";

static uint64_t page[TIDEPOOL_PAGE_SIZE / 8] __attribute__((aligned(4096)));
static uint8_t buffer[TIDEPOOL_MANAGE_BUFFER_MAX] __attribute__((aligned(65536)));
static uint8_t *const stream = (uint8_t *)0x800000; /* above all that the kernel takes */

static int64_t manage(uint64_t what, int64_t guest, uint64_t bytes)
{
	unsigned int tries = TRIES;
	int64_t ret;

	do
		ret = hypercall(TIDEPOOL_OP_MANAGE, what, (uint64_t)guest, (uint64_t)buffer, bytes,
				0, 0);
	while (ret == -TIDEPOOL_EAGAIN && --tries > 0);
	return ret;
}

static int64_t find(const char *name)
{
	union {
		char text[16];
		uint64_t words[2];
	} uuid = {.words = {0, 0}};

	for (size_t i = 0; name[i]; i++)
		uuid.text[i] = name[i];
	return hypercall(TIDEPOOL_OP_MANAGE, TIDEPOOL_MANAGE_FIND, uuid.words[0], uuid.words[1], 0,
			 0, 0);
}

/* Returns the bytes that there are then. */
static uint64_t read_on(int64_t guest, uint64_t size)
{
	int64_t got;

	do {
		got = manage(TIDEPOOL_MANAGE_SAVE_READ, guest, sizeof(buffer));
		CHECK(got >= 0 && size + sizeof(buffer) <= STREAM_MAX, "read: %ld", got);
		if (got <= 0)
			break;
		memcpy(stream + size, buffer, (size_t)got);
		size += (uint64_t)got;
	} while (size + sizeof(buffer) <= STREAM_MAX);
	return size;
}

/* Some slices of the scheduler's, at the emulators' clock rates. */
#define SLICES_TICKS (1ull << 25)

static uint64_t save(int64_t guest)
{
	uint64_t size, end;

	CHECK_EQ(manage(TIDEPOOL_MANAGE_SAVE_BEGIN, guest, 0), 0, "begin to save");
	CHECK_EQ(manage(TIDEPOOL_MANAGE_RESTORE_END, guest, 0), -TIDEPOOL_EBUSY,
		 "end of a restore in a save");
	size = read_on(guest, 0);
	/* The guest may share this CPU: it has to run while it is frozen, to drop pages. */
	for (end = rdtsc() + SLICES_TICKS; rdtsc() < end;)
		__asm__ volatile("pause");
	CHECK_EQ(manage(TIDEPOOL_MANAGE_SAVE_FINISH, guest, 0), 0, "finish");
	size = read_on(guest, size);
	CHECK_EQ(manage(TIDEPOOL_MANAGE_SAVE_END, guest, 0), 0, "end of the save");
	CHECK_EQ(manage(TIDEPOOL_MANAGE_SAVE_READ, guest, sizeof(buffer)), -TIDEPOOL_EBUSY,
		 "read behind the end");
	return size;
}

static int64_t restore(int64_t guest, uint64_t size)
{
	uint64_t at = 0;

	CHECK_EQ(manage(TIDEPOOL_MANAGE_RESTORE_BEGIN, guest, 0), 0, "begin to restore");
	while (at < size) {
		uint64_t part = size - at < sizeof(buffer) ? size - at : sizeof(buffer);
		int64_t taken;

		memcpy(buffer, stream + at, part);
		taken = manage(TIDEPOOL_MANAGE_RESTORE_WRITE, guest, part);
		if (taken <= 0)
			break;
		at += (uint64_t)taken;
	}
	return manage(TIDEPOOL_MANAGE_RESTORE_END, guest, 0);
}

static void test_bad(int64_t guest)
{
	CHECK_EQ(find("nobody"), -TIDEPOOL_ENOENT, "find nobody");
	CHECK_EQ(manage(TIDEPOOL_MANAGE_COUNT, guest, 0), -TIDEPOOL_EINVAL, "no such request");
	CHECK_EQ(manage(TIDEPOOL_MANAGE_SAVE_BEGIN, 77, 0), -TIDEPOOL_ENOENT, "no such guest");
	CHECK_EQ(manage(TIDEPOOL_MANAGE_SAVE_BEGIN, -1, 0), -TIDEPOOL_ENOENT, "no such guest");
	CHECK_EQ(manage(TIDEPOOL_MANAGE_SAVE_READ, guest, 100), -TIDEPOOL_EBUSY, "nothing begun");
	CHECK_EQ(manage(TIDEPOOL_MANAGE_SAVE_READ, guest, 1), -TIDEPOOL_EINVAL, "a short buffer");
	CHECK_EQ(manage(TIDEPOOL_MANAGE_SAVE_READ, guest, sizeof(buffer) + 1), -TIDEPOOL_EINVAL,
		 "a long buffer");
	CHECK_EQ(hypercall(TIDEPOOL_OP_MANAGE, TIDEPOOL_MANAGE_SAVE_READ, (uint64_t)guest, 0x3fffff,
			   4096, 0, 0),
		 -TIDEPOOL_EINVAL, "a buffer in two blocks");
	CHECK_EQ(hypercall(TIDEPOOL_OP_MANAGE, TIDEPOOL_MANAGE_SAVE_READ, (uint64_t)guest,
			   ram_bytes(), 4096, 0, 0),
		 -TIDEPOOL_EFAULT, "a buffer in no RAM");
}

void test_main(void)
{
	const struct page_key done = {{4, 5, 6}, DONE};
	int64_t signal, source = find("source"), target = find("target");
	uint64_t size;

	tidepool_require();
	signal = shared_open("signal", TIDEPOOL_POOL_PERSISTENT);
	CHECK(signal >= 0 && source >= 0 && target >= 0, "signal %ld, source %ld, target %ld",
	      signal, source, target);
	test_bad(target);
	shared_wait((uint64_t)signal, READY, page);
	size = save(source);
	print("manager: a stream of %lu bytes\n", size);
	stream[WRONG_BYTE] ^= 1;
	CHECK_EQ(restore(target, size), -TIDEPOOL_EBADMSG, "restore of a wrong stream");
	stream[WRONG_BYTE] ^= 1;
	CHECK_EQ(restore(target, size - 64), -TIDEPOOL_EBADMSG,
		 "restore of a stream without its end");
	CHECK_EQ(restore(target, size), 0, "restore");
	CHECK_EQ(page_put((uint64_t)signal, &done, page), 0, "say that it is done");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks: every request, its bounds, its time, and what a bad one costs
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/unit/virtio_host.h"

#define SECTOR	512u
#define SECTORS 2048u
#define BYTES	(SECTORS * SECTOR)

/* The disks' slots */
#define RW   0
#define RO   1
#define SLOW 2

#define DELAY 200000u /* ns, and ticks as well */

/* Requests */
#define IN	     0u
#define OUT	     1u
#define FLUSH	     4u
#define GET_ID	     8u
#define DISCARD	     11u
#define WRITE_ZEROES 13u

#define OK     0
#define IOERR  1
#define UNSUPP 2

/* Where the driver keeps a request */
#define HEADER	  0x10000ul
#define RANGE	  0x10100ul
#define STATUS_AT 0x10200ul
#define BUFFER	  (2 * BLOCK_SIZE + 0x10000)

static uint8_t *disk; /* an allocation of the right size: the sanitizer sees who leaves it */

static int setup(void **state)
{
	static const struct disk_config configs[] = {
		[RW] = {.delay_ns = 0},
		[RO] = {.read_only = true},
		[SLOW] = {.delay_ns = DELAY},
	};

	(void)state;
	host_reset();
	ram_create(&host_vm);
	virtio_init(&host_vm);
	disk = malloc(BYTES);
	assert_non_null(disk);
	for (size_t i = 0; i < BYTES; i++)
		disk[i] = (uint8_t)(i / SECTOR + i % 251);
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++)
		assert_int_equal(virtio_add_disk(&host_vm, &configs[i], disk, BYTES + 511), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_destroy(&host_vm);
	ram_free();
	free(disk);
	return host_vm.lock.next != host_vm.lock.serving ||
	       host_vm.virtio.lock.next != host_vm.virtio.lock.serving;
}

static struct virtio_blk *blk(unsigned int slot)
{
	return &host_vm.virtio.slots[slot]->blk;
}

static void put_header(uint32_t type, uint64_t sector)
{
	memcpy(ram(HEADER), &type, sizeof(type));
	memset(ram(HEADER + 4), 0, 4);
	memcpy(ram(HEADER + 8), &sector, sizeof(sector));
	memset(ram(STATUS_AT), 0xff, 1);
}

/* Polls as often as there is work; returns how often that was. */
static unsigned int work(void)
{
	unsigned int steps = 0;

	while (virtio_due(&host_vm.virtio) <= host.now) {
		virtio_poll(&host_vm, host.now);
		assert_true(++steps < 100000);
	}
	return steps;
}

/* Sends header, data at @gpa (none when @size is 0) and status. Returns the status. */
static int request(unsigned int slot, uint32_t type, uint64_t sector, gpa_t gpa, uint32_t size,
		   bool to_guest)
{
	uint32_t head, written;

	put_header(type, sector);
	put_descriptor(1, HEADER, 16, NEXT, size ? 2 : 3);
	put_descriptor(2, gpa, size, NEXT | (to_guest ? WRITE : 0), 3);
	put_descriptor(3, STATUS_AT, 1, WRITE, 0);
	put_avail(1);
	reg_write(slot, NOTIFY, 0);
	work();
	if (reg_read(slot, STATUS) & NEEDS_RESET)
		return -1;
	assert_true(get_used(&head, &written));
	assert_int_equal(head, 1);
	return *(uint8_t *)ram(STATUS_AT);
}

static int range_request(unsigned int slot, uint32_t type, uint64_t sector, uint32_t count,
			 uint32_t flags)
{
	memcpy(ram(RANGE), &sector, sizeof(sector));
	memcpy(ram(RANGE + 8), &count, sizeof(count));
	memcpy(ram(RANGE + 12), &flags, sizeof(flags));
	return request(slot, type, 0, RANGE, 16, false);
}

static void test_read(void **state)
{
	(void)state;
	start_driver(RW);
	assert_int_equal(request(RW, IN, 3, BUFFER, 2 * SECTOR, true), OK);
	assert_memory_equal(ram(BUFFER), disk + 3 * SECTOR, 2 * SECTOR);
	assert_int_equal(((uint8_t *)ram(BUFFER))[2 * SECTOR], 0);
	assert_int_equal(blk(RW)->sectors_read, 2);
	assert_int_equal(blk(RW)->requests, 1);
}

static void test_write(void **state)
{
	uint8_t before = disk[SECTOR - 1], after = disk[3 * SECTOR];

	(void)state;
	start_driver(RW);
	memset(ram(BUFFER), 0x5a, 2 * SECTOR);
	assert_int_equal(request(RW, OUT, 1, BUFFER, 2 * SECTOR, false), OK);
	assert_memory_equal(ram(BUFFER), disk + SECTOR, 2 * SECTOR);
	assert_int_equal(disk[SECTOR - 1], before);
	assert_int_equal(disk[3 * SECTOR], after);
	assert_int_equal(blk(RW)->sectors_written, 2);
	assert_int_equal(request(RW, FLUSH, 0, 0, 0, false), OK);
}

static void test_data_crosses_blocks(void **state)
{
	gpa_t gpa = 3 * BLOCK_SIZE - 700;
	uint8_t all[4 * SECTOR];

	(void)state;
	start_driver(RW);
	assert_int_equal(request(RW, IN, 7, gpa, sizeof(all), true), OK);
	assert_int_equal(virtio_mmio_read(&host_vm, STATUS, 4), DRIVER_READY);
	memcpy(all, ram(gpa), 700);
	memcpy(all + 700, ram(3 * BLOCK_SIZE), sizeof(all) - 700);
	assert_memory_equal(all, disk + 7 * SECTOR, sizeof(all));
}

static void test_bounds(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t size;
		int status;
	} cases[] = {
		{SECTORS - 1, SECTOR, OK},
		{SECTORS - 1, 2 * SECTOR, IOERR},
		{SECTORS, SECTOR, IOERR},
		{SECTORS + 1, SECTOR, IOERR},
		{UINT64_MAX, SECTOR, IOERR},
		{1ull << 55, SECTOR, IOERR}, /* times 512 is 2^64 */
		{0, SECTOR - 1, IOERR},
		{0, SECTOR + 1, IOERR},
		{SECTORS, 0, OK},
	};

	(void)state;
	start_driver(RW);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(request(RW, IN, cases[i].sector, BUFFER, cases[i].size, true),
				 cases[i].status);
		assert_int_equal(request(RW, OUT, cases[i].sector, BUFFER, cases[i].size, false),
				 cases[i].status);
	}
	assert_int_equal(blk(RW)->sectors_read, 1);
	assert_int_equal(blk(RW)->sectors_written, 1);
}

static void test_read_only(void **state)
{
	uint8_t *copy = malloc(BYTES);

	(void)state;
	assert_non_null(copy);
	memcpy(copy, disk, BYTES);
	reg_write(RO, FEATURES_SEL, 0);
	assert_int_equal(reg_read(RO, FEATURES) & (1u << 5 | 1u << 13 | 1u << 14), 1u << 5);
	reg_write(RW, FEATURES_SEL, 0);
	assert_int_equal(reg_read(RW, FEATURES) & (1u << 5 | 1u << 13 | 1u << 14),
			 1u << 13 | 1u << 14);
	start_driver(RO);
	assert_int_equal(request(RO, OUT, 0, BUFFER, SECTOR, false), IOERR);
	assert_int_equal(range_request(RO, WRITE_ZEROES, 0, 1, 0), UNSUPP);
	assert_int_equal(range_request(RO, DISCARD, 0, 1, 0), UNSUPP);
	assert_int_equal(request(RO, IN, 5, BUFFER, SECTOR, true), OK);
	assert_memory_equal(disk, copy, BYTES);
	assert_memory_equal(ram(BUFFER), disk + 5 * SECTOR, SECTOR);
	free(copy);
}

static void test_write_zeroes_and_discard(void **state)
{
	(void)state;
	start_driver(RW);
	assert_int_equal(range_request(RW, WRITE_ZEROES, 2, 3, 1), OK);
	for (size_t i = 2 * SECTOR; i < 5 * SECTOR; i++)
		assert_int_equal(disk[i], 0);
	assert_int_not_equal(disk[2 * SECTOR - 1] | disk[2 * SECTOR - 2], 0);
	assert_int_not_equal(disk[5 * SECTOR] | disk[5 * SECTOR + 1], 0);
	assert_int_equal(range_request(RW, DISCARD, 6, 3, 0), OK);
	assert_int_equal(blk(RW)->sectors_written, 3);

	assert_int_equal(range_request(RW, DISCARD, 0, 1, 1), UNSUPP);
	assert_int_equal(range_request(RW, WRITE_ZEROES, 0, 1, 2), UNSUPP);
	assert_int_equal(range_request(RW, WRITE_ZEROES, SECTORS, 1, 0), IOERR);
	assert_int_equal(range_request(RW, WRITE_ZEROES, UINT64_MAX, 1, 0), IOERR);
	assert_int_equal(range_request(RW, WRITE_ZEROES, 0, UINT32_MAX, 0), IOERR);
	assert_int_equal(range_request(RW, DISCARD, SECTORS - 1, 2, 0), IOERR);
	assert_int_equal(request(RW, DISCARD, 0, RANGE, 32, false), IOERR); /* two ranges */
}

static void test_id_and_unknown(void **state)
{
	(void)state;
	start_driver(SLOW);
	host.now += DELAY;
	put_header(GET_ID, 0);
	put_descriptor(1, HEADER, 16, NEXT, 2);
	put_descriptor(2, BUFFER, 20, NEXT | WRITE, 3);
	put_descriptor(3, STATUS_AT, 1, WRITE, 0);
	put_avail(1);
	reg_write(SLOW, NOTIFY, 0);
	work();
	assert_int_equal(*(uint8_t *)ram(STATUS_AT), OK);
	assert_string_equal(ram(BUFFER), "web-2");

	start_driver(RW);
	memset(ram(BUFFER), 0xff, 8);
	assert_int_equal(request(RW, GET_ID, 0, BUFFER, 3, true), OK);
	assert_memory_equal(ram(BUFFER), "web\xff", 4);
	assert_int_equal(request(RW, 99, 0, BUFFER, SECTOR, true), UNSUPP);
}

/* Header, data and status in pieces that have nothing to do with what is in them. */
static void test_any_layout(void **state)
{
	uint32_t head, written;

	(void)state;
	start_driver(RW);
	put_header(IN, 9);
	put_descriptor(1, HEADER, 5, NEXT, 2);
	put_descriptor(2, HEADER + 5, 11, NEXT, 3);
	put_descriptor(3, BUFFER, 100, NEXT | WRITE, 4);
	put_descriptor(4, BUFFER + 100, 0, NEXT | WRITE, 5);
	put_descriptor(5, BUFFER + 100, SECTOR - 100 + 1, WRITE, 0);
	put_avail(1);
	reg_write(RW, NOTIFY, 0);
	work();
	assert_true(get_used(&head, &written));
	assert_int_equal(written, SECTOR + 1);
	assert_memory_equal(ram(BUFFER), disk + 9 * SECTOR, SECTOR);
	assert_int_equal(*(uint8_t *)ram(BUFFER + SECTOR), OK);
}

/* A big request takes several steps, each of at most 32 KiB; the driver hears of it at the end. */
static void test_bounded_steps(void **state)
{
	uint32_t head, written;
	unsigned int steps;

	(void)state;
	start_driver(RW);
	put_header(IN, 0);
	put_descriptor(1, HEADER, 16, NEXT, 2);
	put_descriptor(2, BUFFER, BYTES, NEXT | WRITE, 3);
	put_descriptor(3, STATUS_AT, 1, WRITE, 0);
	put_avail(1);
	reg_write(RW, NOTIFY, 0);
	virtio_poll(&host_vm, host.now);
	assert_in_range(blk(RW)->sectors_read, 1, 64);
	assert_false(get_used(&head, &written));
	steps = work();
	assert_in_range(steps, BYTES / (32 * 1024) - 1, BYTES / (30 * 1024));
	assert_true(get_used(&head, &written));
	assert_int_equal(written, BYTES + 1);
	assert_memory_equal(ram(BUFFER), disk, BYTES);
}

static void test_delay(void **state)
{
	uint64_t start;
	uint32_t head, written;

	(void)state;
	start_driver(SLOW);
	start = host.now;
	for (unsigned int i = 0; i < 3; i++) {
		put_header(FLUSH, 0);
		put_descriptor(1 + 2 * i, HEADER, 16, NEXT, 2 + 2 * i);
		put_descriptor(2 + 2 * i, STATUS_AT + i, 1, WRITE, 0);
		put_avail(1 + 2 * i);
		reg_write(SLOW, NOTIFY, 0);
		virtio_poll(&host_vm, host.now);
		host.now += 1000;
	}
	assert_true(virtio_due(&host_vm.virtio) == start + DELAY);
	host.now = start + DELAY - 1;
	virtio_poll(&host_vm, host.now);
	assert_false(get_used(&head, &written));
	assert_int_equal(reg_read(SLOW, INTERRUPT), 0);
	for (unsigned int i = 0; i < 3; i++) {
		host.now = start + DELAY + 1000 * i;
		work();
		assert_true(get_used(&head, &written));
		assert_int_equal(head, 1 + 2 * i);
		assert_false(get_used(&head, &written));
		assert_int_equal(reg_read(SLOW, INTERRUPT), 1);
		reg_write(SLOW, ACK, 1);
	}
	assert_true(virtio_due(&host_vm.virtio) == TIME_NEVER);
}

/* A reset forgets what was on its way, even a request half done. */
static void test_reset(void **state)
{
	uint32_t head, written;

	(void)state;
	start_driver(SLOW);
	put_header(FLUSH, 0);
	put_descriptor(1, HEADER, 16, NEXT, 2);
	put_descriptor(2, STATUS_AT, 1, WRITE, 0);
	put_avail(1);
	reg_write(SLOW, NOTIFY, 0);
	virtio_poll(&host_vm, host.now);
	start_driver(SLOW);
	host.now += 2 * DELAY;
	work();
	assert_false(get_used(&head, &written));

	start_driver(RW);
	put_header(IN, 0);
	put_descriptor(2, BUFFER, BYTES, NEXT | WRITE, 3);
	put_descriptor(3, STATUS_AT, 1, WRITE, 0);
	put_avail(1);
	reg_write(RW, NOTIFY, 0);
	virtio_poll(&host_vm, host.now);
	start_driver(RW);
	assert_int_equal(request(RW, IN, 1, BUFFER, SECTOR, true), OK);
}

/* More requests on their way than the queue has entries: some entry was used twice. */
static void test_too_many_on_their_way(void **state)
{
	(void)state;
	start_driver(SLOW);
	put_header(FLUSH, 0);
	put_descriptor(1, HEADER, 16, NEXT, 2);
	put_descriptor(2, STATUS_AT, 1, WRITE, 0);
	for (unsigned int i = 0; i < QUEUE_SIZE; i++)
		put_avail(1);
	reg_write(SLOW, NOTIFY, 0);
	work();
	assert_int_equal(reg_read(SLOW, STATUS), DRIVER_READY);
	put_avail(1);
	reg_write(SLOW, NOTIFY, 0);
	work();
	assert_int_equal(reg_read(SLOW, STATUS), DRIVER_READY | NEEDS_RESET);
}

static void check_malformed(uint32_t header_size, gpa_t data, gpa_t status, uint32_t status_size)
{
	start_driver(RW);
	put_header(IN, 0);
	put_descriptor(1, HEADER, header_size, NEXT, 2);
	put_descriptor(2, data, SECTOR, NEXT | WRITE, 3);
	put_descriptor(3, status, status_size, WRITE, 0);
	put_avail(1);
	reg_write(RW, NOTIFY, 0);
	work();
	assert_int_equal(reg_read(RW, STATUS), DRIVER_READY | NEEDS_RESET);
	assert_int_equal(reg_read(RW, INTERRUPT), 2);
}

static void test_malformed_requests(void **state)
{
	(void)state;
	check_malformed(15, BUFFER, STATUS_AT, 1);
	check_malformed(16, RAM_END - 100, STATUS_AT, 1);
	check_malformed(16, BUFFER, RAM_END, 1);
	check_malformed(16, VM_HOLE_BASE, STATUS_AT, 1);
	put_header(IN, 0); /* nothing to write the status to */
	start_driver(RW);
	put_descriptor(1, HEADER, 16, 0, 0);
	put_avail(1);
	reg_write(RW, NOTIFY, 0);
	work();
	assert_int_equal(reg_read(RW, STATUS), DRIVER_READY | NEEDS_RESET);
	start_driver(RW);
	assert_int_equal(request(RW, IN, 0, BUFFER, SECTOR, true), OK);
	assert_int_equal(host.stops, 0);
}

static void test_report(void **state)
{
	(void)state;
	start_driver(RW);
	assert_int_equal(request(RW, IN, 0, BUFFER, 3 * SECTOR, true), OK);
	assert_int_equal(request(RW, OUT, 0, BUFFER, 2 * SECTOR, false), OK);
	virtio_report(&host_vm);
	assert_non_null(strstr(host.console, "tidepool: guest web: disk web-0 requests=2 sectors "
					     "read=3 written=2\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data_crosses_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_zeroes_and_discard, setup, teardown),
		cmocka_unit_test_setup_teardown(test_id_and_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_layout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_on_their_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_malformed_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_report, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues full of noise: whatever is in them, no byte outside guest RAM and disk is touched (the
 * address sanitizer watches), every step ends, and a reset makes the device good again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/virtio_host.h"

#define ROUNDS	3000u
#define SECTORS 257u
#define SLOTS	3u

static uint8_t *disk;

static uint64_t noise(void)
{
	return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
}

/* An address that is nearly right, most of the time. */
static gpa_t random_address(void)
{
	switch (rand() % 8) {
	case 0:
		return noise();
	case 1:
		return RAM_END - noise() % 1024;
	case 2:
		return BLOCK_SIZE * (1 + noise() % RAM_BLOCKS) - noise() % 1024;
	default:
		return noise() % RAM_END;
	}
}

static void random_descriptors(void)
{
	static const uint32_t sizes[] = {0, 1, 16, 17, 511, 512, 513, 4096, 70000, UINT32_MAX};

	for (unsigned int i = 0; i < QUEUE_SIZE; i++)
		put_descriptor(i, random_address(), sizes[(unsigned int)rand() % ARRAY_SIZE(sizes)],
			       rand() % 16 ? (unsigned int)rand() % 4 : (unsigned int)rand(),
			       (unsigned int)rand() % (QUEUE_SIZE + 2));
}

/* A header where descriptors may point to it: one that gets further than noise. */
static void random_request(void)
{
	static const uint32_t types[] = {0, 1, 4, 8, 11, 13, 77};
	uint32_t type = types[(unsigned int)rand() % ARRAY_SIZE(types)];
	uint64_t sector = rand() % 8 ? noise() % (SECTORS + 2) : noise();
	gpa_t header = 0x10000;
	unsigned int data = (unsigned int)rand() % 2 ? WRITE : 0;

	memcpy(ram(header), &type, sizeof(type));
	memcpy(ram(header + 8), &sector, sizeof(sector));
	put_descriptor(1, header, 16, NEXT, 2);
	put_descriptor(2, random_address(), 512 * (uint32_t)(rand() % (int)SECTORS), NEXT | data,
		       3);
	put_descriptor(3, random_address(), 1, WRITE, 0);
	put_avail(1);
}

static void random_register(unsigned int slot)
{
	uint64_t offset = slot * VIRTIO_SLOT_SIZE + noise() % 0x180;
	unsigned int size = 1u << rand() % 4;

	offset = ALIGN_DOWN(offset, size);
	if (rand() % 2)
		virtio_mmio_read(&host_vm, offset, size);
	else
		virtio_mmio_write(&host_vm, offset, size, rand() % 2 ? noise() : noise() % 4);
}

static void fuzz_round(unsigned int slot)
{
	start_driver(slot);
	random_descriptors();
	for (int i = rand() % 20; i > 0; i--) {
		switch (rand() % 4) {
		case 0:
			put_avail((unsigned int)rand() % (QUEUE_SIZE + 1));
			break;
		case 1:
			if (rand() % 4 == 0)
				random_register(slot);
			break;
		default:
			random_request();
		}
		reg_write(slot, NOTIFY, 0);
		for (int steps = rand() % 20; steps > 0; steps--) {
			virtio_poll(&host_vm, host.now);
			host.now += noise() % 100;
			if (rand() % 8 == 0) /* under the device's hands */
				random_descriptors();
		}
	}
	host.console_len = 0;
}

/* The descriptors' table itself and the rings may have been written to: that is the guest's loss.
 */
static void test_noise(void **state)
{
	static const struct disk_config configs[] = {{.delay_ns = 1000}, {.read_only = true}};
	unsigned int stopped = 0;
	uint64_t requests;

	(void)state;
	host_reset();
	ram_create(&host_vm);
	virtio_init(&host_vm);
	disk = malloc(SECTORS * 512);
	assert_non_null(disk);
	memset(disk, 0, SECTORS * 512);
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++)
		assert_int_equal(virtio_add_disk(&host_vm, &configs[i], disk, SECTORS * 512), 0);
	assert_int_equal(virtio_add_rng(&host_vm), 0);

	srand(11);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		unsigned int slot = round % SLOTS;

		fuzz_round(slot);
		stopped += (reg_read(slot, STATUS) & NEEDS_RESET) != 0;
		assert_int_equal(host_vm.virtio.lock.next, host_vm.virtio.lock.serving);
		assert_int_equal(host_vm.lock.next, host_vm.lock.serving);
	}
	requests = host_vm.virtio.slots[0]->blk.requests;
	/* It was neither all refused nor all accepted, or this tested nothing. */
	assert_in_range(stopped, ROUNDS / 10, ROUNDS - ROUNDS / 10);
	assert_true(requests > ROUNDS / 4);
	assert_true(host_vm.virtio.slots[0]->blk.sectors_written > ROUNDS / 4);
	assert_true(host_vm.virtio.slots[1]->blk.sectors_read > ROUNDS / 4);
	assert_int_equal(host_vm.virtio.slots[1]->blk.sectors_written, 0);
	assert_int_equal(host.stops, 0);
	virtio_destroy(&host_vm);
	ram_free();
	free(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

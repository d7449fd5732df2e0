/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of virtio devices, and the source of entropy behind them
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <tidepool/abi.h>

#include "core/errno.h"
#include "tests/unit/virtio_host.h"

#define PIN 16

static uint8_t disk[4096];

static int setup(void **state)
{
	static const struct disk_config config;

	(void)state;
	host_reset();
	ram_create(&host_vm);
	virtio_init(&host_vm);
	assert_int_equal(virtio_add_rng(&host_vm), 0);
	assert_int_equal(virtio_add_disk(&host_vm, &config, disk, sizeof(disk)), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_destroy(&host_vm);
	ram_free();
	return host_vm.lock.next != host_vm.lock.serving ||
	       host_vm.virtio.lock.next != host_vm.virtio.lock.serving;
}

static bool line(unsigned int slot)
{
	return host_vm.ioapic.level & 1u << (PIN + slot);
}

static void test_identity(void **state)
{
	(void)state;
	for (unsigned int slot = 0; slot < VIRTIO_SLOTS; slot++) {
		assert_int_equal(reg_read(slot, MAGIC), 0x74726976);
		assert_int_equal(reg_read(slot, VERSION_REG), 2);
	}
	assert_int_equal(reg_read(0, DEVICE_ID), 4);
	assert_int_equal(reg_read(1, DEVICE_ID), 2);
	assert_int_equal(reg_read(2, DEVICE_ID), 0); /* a placeholder */
	reg_write(2, STATUS, 1);
	assert_int_equal(reg_read(2, STATUS), 0);
	assert_int_equal(reg_read(0, QUEUE_NUM_MAX), VIRTIO_QUEUE_MAX);
	reg_write(0, QUEUE_SEL, 1);
	assert_int_equal(reg_read(0, QUEUE_NUM_MAX), 0);
	assert_int_equal(reg_read(0, 0xb0), 0xffffffff); /* no shared memory */
}

static void test_slots_run_out(void **state)
{
	(void)state;
	host.no_frames = true;
	assert_int_equal(virtio_add_rng(&host_vm), -ENOMEM);
	host.no_frames = false;
	for (unsigned int slot = 2; slot < VIRTIO_SLOTS; slot++)
		assert_int_equal(virtio_add_rng(&host_vm), 0);
	assert_int_equal(virtio_add_rng(&host_vm), -ENOSPC);
}

static void test_access_sizes(void **state)
{
	const uint64_t config = VIRTIO_SLOT_SIZE + CONFIG;

	(void)state;
	assert_int_equal(virtio_mmio_read(&host_vm, 0, 1), 0);
	assert_int_equal(virtio_mmio_read(&host_vm, 0, 8), 0);
	assert_int_equal(virtio_mmio_read(&host_vm, 2, 4), 0);
	virtio_mmio_write(&host_vm, STATUS, 1, 1);
	assert_int_equal(reg_read(0, STATUS), 0);

	assert_int_equal(virtio_mmio_read(&host_vm, config, 8), sizeof(disk) / 512);
	assert_int_equal(virtio_mmio_read(&host_vm, config, 4), sizeof(disk) / 512);
	assert_int_equal(virtio_mmio_read(&host_vm, config + 20, 2), 512); /* blk_size */
	assert_int_equal(virtio_mmio_read(&host_vm, config + 24, 1), 3);   /* 4 KiB sectors */
	assert_int_equal(virtio_mmio_read(&host_vm, config + 56, 1), 1);
	assert_int_equal(virtio_mmio_read(&host_vm, config + 56, 8), 0); /* reaches behind it */
	assert_int_equal(virtio_mmio_read(&host_vm, VIRTIO_SLOT_SIZE + 0xff8, 8), 0);
	virtio_mmio_write(&host_vm, config, 4, 77);
	assert_int_equal(virtio_mmio_read(&host_vm, config, 4), sizeof(disk) / 512);
}

/* Which image a disk is of lies far behind the standard's fields, and nothing around it. */
static void test_image(void **state)
{
	static const struct disk_config shared = {.image = 0x12345678, .read_only = true};
	const uint64_t mine = VIRTIO_SLOT_SIZE + CONFIG + TIDEPOOL_DISK_IMAGE;
	const uint64_t at = mine + VIRTIO_SLOT_SIZE;

	(void)state;
	assert_int_equal(virtio_add_disk(&host_vm, &shared, disk, sizeof(disk)), 0);
	assert_int_equal(reg_read(2, VENDOR), TIDEPOOL_VIRTIO_VENDOR);
	assert_int_equal(virtio_mmio_read(&host_vm, at, 8), 0x12345678);
	assert_int_equal(virtio_mmio_read(&host_vm, at, 4), 0x12345678);
	assert_int_equal(virtio_mmio_read(&host_vm, at + 4, 4), 0);
	assert_int_equal(virtio_mmio_read(&host_vm, at + 2, 2), 0x1234);
	assert_int_equal(virtio_mmio_read(&host_vm, at + 8, 8), 0);
	assert_int_equal(virtio_mmio_read(&host_vm, at - 8, 8), 0);
	virtio_mmio_write(&host_vm, at, 4, 77);
	assert_int_equal(virtio_mmio_read(&host_vm, at, 8), 0x12345678);
	assert_int_equal(virtio_mmio_read(&host_vm, mine, 8), 0); /* a disk to write */
}

static void test_features(void **state)
{
	(void)state;
	reg_write(1, STATUS, 3);
	reg_write(1, STATUS, 0xb); /* without VERSION_1 */
	assert_int_equal(reg_read(1, STATUS), 3);

	reg_write(1, ACCEPTED_SEL, 1);
	reg_write(1, ACCEPTED, 1);
	reg_write(1, ACCEPTED_SEL, 0);
	reg_write(1, ACCEPTED, 1u << 28); /* indirect descriptors were not offered */
	reg_write(1, STATUS, 0xb);
	assert_int_equal(reg_read(1, STATUS), 3);

	reg_write(1, ACCEPTED, 0);
	reg_write(1, ACCEPTED_SEL, 2); /* there is no such half */
	reg_write(1, ACCEPTED, 0xffffffff);
	reg_write(1, FEATURES_SEL, 2);
	assert_int_equal(reg_read(1, FEATURES), 0);
	reg_write(1, STATUS, 0xb);
	assert_int_equal(reg_read(1, STATUS), 0xb);
	reg_write(1, ACCEPTED_SEL, 0);
	reg_write(1, ACCEPTED, 1u << 28); /* too late to change anything */
	assert_int_equal(host_vm.virtio.slots[1]->driver_features, 1ull << 32);
}

static void test_status_only_grows(void **state)
{
	(void)state;
	reg_write(0, STATUS, 3);
	reg_write(0, STATUS, 1);
	assert_int_equal(reg_read(0, STATUS), 3);
	reg_write(0, STATUS, 0xffffff80 | NEEDS_RESET);
	assert_int_equal(reg_read(0, STATUS), 0x83);
	reg_write(0, STATUS, 0);
	assert_int_equal(reg_read(0, STATUS), 0);
}

static void test_entropy(void **state)
{
	uint32_t head, written;

	(void)state;
	start_driver(0);
	put_descriptor(1, 0x5000, 64, WRITE, 0);
	put_descriptor(2, 0x6000, 4096, WRITE, 0);
	put_avail(1);
	put_avail(2);
	assert_false(get_used(&head, &written));
	reg_write(0, NOTIFY, 0);
	assert_true(host.kicked & 1);
	assert_true(virtio_due(&host_vm.virtio) <= host.now);
	for (int i = 0; i < 3; i++)
		virtio_poll(&host_vm, host.now);
	assert_true(virtio_due(&host_vm.virtio) == TIME_NEVER);
	assert_true(get_used(&head, &written));
	assert_int_equal(head, 1);
	assert_int_equal(written, 64);
	assert_true(get_used(&head, &written));
	assert_int_equal(head, 2);
	assert_in_range(written, 1, 4096);
	assert_int_not_equal(get32(0x5000) | get32(0x5004), 0);
	assert_int_equal(get32(0x5000 + 64), 0);
	assert_int_equal(get32(0x6000 + written), 0);

	assert_int_equal(reg_read(0, INTERRUPT), 1);
	assert_true(line(0));
	assert_false(line(1));
	reg_write(0, ACK, 1);
	assert_int_equal(reg_read(0, INTERRUPT), 0);
	assert_false(line(0));
}

/* Both devices have work: neither waits until the other has none. */
static void test_devices_take_turns(void **state)
{
	struct virtio_queue *queues[] = {&host_vm.virtio.slots[0]->queue,
					 &host_vm.virtio.slots[1]->queue};

	(void)state;
	start_driver(0);
	start_driver(1); /* on the same queue: what they find there is the same */
	put_descriptor(1, 0x5000, 16, NEXT, 2);
	put_descriptor(2, 0x6000, 1, WRITE, 0);
	for (unsigned int i = 0; i < 32; i++)
		put_avail(1);
	reg_write(0, NOTIFY, 0);
	reg_write(1, NOTIFY, 0);
	virtio_poll(&host_vm, host.now);
	assert_int_equal(queues[0]->next_avail, 1);
	assert_int_equal(queues[1]->next_avail, 0);
	virtio_poll(&host_vm, host.now);
	assert_int_equal(queues[0]->next_avail, 1);
	assert_in_range(queues[1]->next_avail, 1, 31);
	virtio_poll(&host_vm, host.now);
	assert_int_equal(queues[0]->next_avail, 2);
}

static void test_not_before_the_driver_is_ready(void **state)
{
	(void)state;
	start_driver(0);
	reg_write(0, STATUS, 0);
	reg_write(0, NOTIFY, 0);
	assert_true(virtio_due(&host_vm.virtio) == TIME_NEVER);
	start_driver(0);
	reg_write(0, NOTIFY, 1); /* no such queue */
	assert_true(virtio_due(&host_vm.virtio) == TIME_NEVER);
	reg_write(0, QUEUE_READY, 0);
	reg_write(0, NOTIFY, 0);
	assert_true(virtio_due(&host_vm.virtio) == TIME_NEVER);
}

static void test_queue_in_use_stays(void **state)
{
	(void)state;
	start_driver(0);
	reg_write(0, QUEUE_NUM, 2);
	reg_write_address(0, DESC_LOW, UINT64_MAX);
	assert_int_equal(host_vm.virtio.slots[0]->queue.size, QUEUE_SIZE);
	assert_int_equal(host_vm.virtio.slots[0]->queue.descriptors, DESCRIPTORS);
}

static void check_stopped(unsigned int slot, unsigned int status)
{
	assert_int_equal(reg_read(slot, STATUS), status | NEEDS_RESET);
	assert_int_equal(reg_read(slot, QUEUE_READY), 0);
	reg_write(slot, QUEUE_READY, 1); /* does not help */
	assert_int_equal(reg_read(slot, QUEUE_READY), 0);
	reg_write(slot, NOTIFY, 0);
	assert_true(virtio_due(&host_vm.virtio) == TIME_NEVER);
}

static void test_bad_queue_stops_the_device(void **state)
{
	(void)state;
	start_driver(0);
	reg_write(0, STATUS, 0);
	reg_write(0, STATUS, 3);
	reg_write(0, QUEUE_NUM, 3);
	reg_write(0, QUEUE_READY, 1);
	check_stopped(0, 3);
	assert_int_equal(reg_read(0, INTERRUPT), 0); /* nobody listens yet */
	assert_non_null(strstr(host.console, "virtio device 0 stopped"));

	host.console_len = 0;
	host.console[0] = '\0';
	start_driver(0); /* a reset mends it */
	put_avail(9999);
	reg_write(0, NOTIFY, 0);
	virtio_poll(&host_vm, host.now);
	check_stopped(0, DRIVER_READY);
	assert_int_equal(reg_read(0, INTERRUPT), 2);
	assert_true(line(0));
	assert_string_equal(host.console, ""); /* said once */
	assert_int_equal(host.stops, 0);
	start_driver(0);
	assert_false(line(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slots_run_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_access_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_image, setup, teardown),
		cmocka_unit_test_setup_teardown(test_features, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status_only_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_entropy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_devices_take_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_before_the_driver_is_ready, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_queue_in_use_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_queue_stops_the_device, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtqueue: what is right is taken as written, and everything else refused
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/errno.h"
#include "tests/unit/virtio_host.h"

static struct vm vm;
static struct virtio_queue queue;
static struct virtio_chain chain;

static int setup(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof(vm));
	ram_create(&vm);
	queue = (struct virtio_queue){
		.size = QUEUE_SIZE, .descriptors = DESCRIPTORS, .avail = AVAIL, .used = USED};
	driver_avail = driver_used = 0;
	assert_int_equal(virtio_queue_start(&vm, &queue), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ram_free();
	return 0;
}

static int start_with(uint32_t size, gpa_t descriptors, gpa_t avail, gpa_t used)
{
	struct virtio_queue other = {
		.size = size, .descriptors = descriptors, .avail = avail, .used = used};

	return virtio_queue_start(&vm, &other);
}

static void test_start(void **state)
{
	static const gpa_t bad[] = {RAM_END, VM_HOLE_BASE, VM_HOLE_END, UINT64_MAX & ~15ull};

	(void)state;
	assert_int_equal(start_with(1, 0, 0, 0), 0);
	assert_int_equal(start_with(VIRTIO_QUEUE_MAX, 0, 0, 0), 0);
	assert_int_equal(start_with(0, 0, 0, 0), -EINVAL);
	assert_int_equal(start_with(3, 0, 0, 0), -EINVAL);
	assert_int_equal(start_with(2 * VIRTIO_QUEUE_MAX, 0, 0, 0), -EINVAL);
	assert_int_equal(start_with(1u << 31, 0, 0, 0), -EINVAL);
	assert_int_equal(start_with(8, 8, 0, 0), -EINVAL);
	assert_int_equal(start_with(8, 0, 1, 0), -EINVAL);
	assert_int_equal(start_with(8, 0, 0, 2), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(start_with(8, bad[i], 0, 0), -EINVAL);
		assert_int_equal(start_with(8, 0, bad[i], 0), -EINVAL);
		assert_int_equal(start_with(8, 0, 0, bad[i]), -EINVAL);
	}
	/* The last byte counts. */
	assert_int_equal(start_with(8, RAM_END - 128, RAM_END - 20, RAM_END - 68), 0);
	assert_int_equal(start_with(8, RAM_END - 112, 0, 0), -EINVAL);
	assert_int_equal(start_with(8, 0, RAM_END - 18, 0), -EINVAL);
	assert_int_equal(start_with(8, 0, 0, RAM_END - 64), -EINVAL);
}

static void test_pop(void **state)
{
	(void)state;
	assert_int_equal(virtio_queue_pop(&vm, &queue, &chain), 0);
	put_descriptor(5, 0x10000, 16, NEXT, 63);
	put_descriptor(63, 0x20000, 512, NEXT | WRITE, 0);
	put_descriptor(0, 0x30000, 1, WRITE, 0xffff);
	put_avail(5);
	assert_int_equal(virtio_queue_pop(&vm, &queue, &chain), 1);
	assert_int_equal(chain.head, 5);
	assert_int_equal(chain.count, 3);
	assert_int_equal(chain.readable, 1);
	assert_int_equal(chain.readable_bytes, 16);
	assert_int_equal(chain.writable_bytes, 513);
	assert_int_equal(chain.segments[1].gpa, 0x20000);
	assert_int_equal(virtio_queue_pop(&vm, &queue, &chain), 0);
}

static void test_indices_wrap(void **state)
{
	(void)state;
	put_descriptor(1, 0x10000, 1, 0, 0);
	for (unsigned int i = 0; i < 70000; i++) {
		put_avail(1);
		assert_int_equal(virtio_queue_pop(&vm, &queue, &chain), 1);
		assert_int_equal(virtio_queue_push(&vm, &queue, 1, i), 0);
		assert_int_equal(get16(USED + 2), (uint16_t)(i + 1));
		assert_int_equal(get32(USED + 4 + 8 * (gpa_t)(i % QUEUE_SIZE) + 4), i);
	}
}

static int pop_error(void)
{
	int err;

	put_avail(1);
	err = virtio_queue_pop(&vm, &queue, &chain);
	return err;
}

static void test_malformed_chains(void **state)
{
	(void)state;
	put_avail(QUEUE_SIZE); /* a head that does not exist */
	assert_int_equal(virtio_queue_pop(&vm, &queue, &chain), -EINVAL);
	put_avail(0xffff);
	assert_int_equal(virtio_queue_pop(&vm, &queue, &chain), -EINVAL);

	put_descriptor(1, 0, 1, NEXT, QUEUE_SIZE); /* and a next one */
	assert_int_equal(pop_error(), -EINVAL);
	put_descriptor(1, 0, 1, NEXT, 1); /* a chain without end */
	assert_int_equal(pop_error(), -EINVAL);
	put_descriptor(1, 0, 1, INDIRECT, 0); /* what was not offered */
	assert_int_equal(pop_error(), -EINVAL);
	put_descriptor(1, 0, 1, NEXT | WRITE, 2); /* readable behind writable */
	put_descriptor(2, 0, 1, 0, 0);
	assert_int_equal(pop_error(), -EINVAL);
}

static void test_longest_chain(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < VIRTIO_CHAIN_MAX; i++)
		put_descriptor(i, 0, UINT32_MAX, i + 1 < VIRTIO_CHAIN_MAX ? NEXT : 0, i + 1);
	put_avail(0);
	assert_int_equal(virtio_queue_pop(&vm, &queue, &chain), 1);
	assert_int_equal(chain.count, VIRTIO_CHAIN_MAX);
	assert_true(chain.readable_bytes == (uint64_t)UINT32_MAX * VIRTIO_CHAIN_MAX);
	put_descriptor(VIRTIO_CHAIN_MAX - 1, 0, 1, NEXT, VIRTIO_CHAIN_MAX);
	put_avail(0);
	assert_int_equal(virtio_queue_pop(&vm, &queue, &chain), -EINVAL);
}

static void test_index_runs_away(void **state)
{
	(void)state;
	put16(AVAIL + 2, QUEUE_SIZE + 1);
	assert_int_equal(virtio_queue_pop(&vm, &queue, &chain), -EINVAL);
	put16(AVAIL + 2, 0xffff);
	assert_int_equal(virtio_queue_pop(&vm, &queue, &chain), -EINVAL);
}

static void test_interrupt_wish(void **state)
{
	(void)state;
	assert_true(virtio_queue_wants_interrupt(&vm, &queue));
	put16(AVAIL, 1);
	assert_false(virtio_queue_wants_interrupt(&vm, &queue));
}

static void test_copies(void **state)
{
	char text[] = "over the edge of a block", copy[sizeof(text)] = "";
	struct virtio_cursor cursor = {0};

	(void)state;
	put_descriptor(1, 3 * BLOCK_SIZE - 7, 12, NEXT | WRITE, 2);
	put_descriptor(2, 0x100, 0, NEXT | WRITE, 3);
	put_descriptor(3, 0x200, 100, WRITE, 0);
	put_avail(1);
	assert_int_equal(virtio_queue_pop(&vm, &queue, &chain), 1);
	assert_int_equal(virtio_chain_write(&vm, &chain, &cursor, text, sizeof(text)), 0);
	assert_memory_equal(ram(3 * BLOCK_SIZE - 7), text, 7);
	assert_memory_equal(ram(3 * BLOCK_SIZE), text + 7, 5);
	assert_memory_equal(ram(0x200), text + 12, sizeof(text) - 12);

	cursor = virtio_chain_seek(&chain, true, 3);
	assert_int_equal(virtio_chain_read(&vm, &chain, &cursor, copy, sizeof(text) - 3), 0);
	assert_string_equal(copy, text + 3);
	cursor = virtio_chain_seek(&chain, true, 12);
	assert_int_equal(cursor.segment, 2);
	assert_int_equal(cursor.offset, 0);
	cursor = virtio_chain_seek(&chain, true, 112);
	assert_int_equal(virtio_chain_read(&vm, &chain, &cursor, copy, 1), -EINVAL);
	cursor = virtio_chain_seek(&chain, true, 111);
	assert_int_equal(virtio_chain_read(&vm, &chain, &cursor, copy, 2), -EINVAL);
}

static void test_copies_outside_ram(void **state)
{
	static const gpa_t bad[] = {RAM_END - 4, UINT64_MAX - 3, VM_HOLE_BASE, VM_HOLE_END};
	char buf[8] = "";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct virtio_cursor cursor = {0};

		put_descriptor(1, bad[i], UINT32_MAX, WRITE, 0);
		put_avail(1);
		assert_int_equal(virtio_queue_pop(&vm, &queue, &chain), 1);
		assert_int_equal(virtio_chain_write(&vm, &chain, &cursor, buf, 8), -EFAULT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_indices_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_malformed_chains, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longest_chain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_index_runs_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt_wish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copies_outside_ram, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The balloon: a block changes owner only when no vCPU can reach it any more, and what a guest
 * holds is counted exactly. The host's memory, the nested tables and the vCPUs are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/cpu/paging.h"
#include "core/dev/ioapic.h"
#include "core/errno.h"
#include "core/frames.h"
#include "core/panic.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define BLOCKS 4u
#define VCPUS  3u
#define NODE   5u /* that the guest prefers */

uint64_t image_load_base;

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static struct guest_config config = {.memory = BLOCKS * BLOCK_SIZE};
static hpa_t mapped[BLOCKS];
static unsigned int rights[BLOCKS];
static unsigned int flushed[VCPUS], kicked[VCPUS];
static int64_t out;	    /* blocks that are allocated, that of zeroes included */
static int64_t left;	    /* that there still are */
static uint64_t awaited;    /* by guests that are being restarted */
static uint64_t stored;	    /* blocks that the store can spare */
static unsigned int asked;  /* for these, so often */
static unsigned int pulses; /* of the balloon's interrupt pin */

void *frame_alloc(void)
{
	return calloc(1, PAGE_SIZE);
}

void frame_free(void *frame)
{
	free(frame);
}

void *block_alloc(void)
{
	if (!left)
		return NULL;
	left--;
	out++;
	return aligned_alloc(BLOCK_SIZE, BLOCK_SIZE);
}

void *block_alloc_near(uint32_t node)
{
	assert_int_equal(node, vm.node);
	return block_alloc();
}

/* The guest's blocks all come from the node that it prefers. */
uint32_t frames_node_of(const void *block)
{
	assert_non_null(block);
	return vm.node;
}

void block_free(void *block)
{
	left++;
	out--;
	free(block);
}

uint64_t frames_free_blocks(void)
{
	return (uint64_t)left;
}

/* The store's blocks come one a call, when it has been asked twice. */
int store_make_room(uint64_t blocks, uint64_t spare)
{
	assert_int_equal(blocks, awaited + 1);
	assert_int_equal(spare, 0);
	if (!stored)
		return -ENOSPC;
	if (asked++ % 2) {
		stored--;
		left++;
	}
	return 1;
}

uint64_t vms_awaited_blocks(void)
{
	return awaited;
}

void panic(const char *fmt, ...)
{
	fail_msg("panic: %s", fmt);
	abort();
}

void vcpu_kick(struct vcpu *vcpu)
{
	kicked[vcpu->id]++;
}

void ioapic_set_line(struct vm *of, unsigned int pin, bool high)
{
	assert_ptr_equal(of, &vm);
	assert_int_equal(pin, BALLOON_PIN);
	pulses += high;
}

static int map_block(struct vm *of, gpa_t gpa, hpa_t hpa, unsigned int prot)
{
	assert_ptr_equal(of, &vm);
	mapped[gpa >> BLOCK_SHIFT] = hpa;
	rights[gpa >> BLOCK_SHIFT] = prot;
	return 0;
}

static void flush_nested(struct vcpu *vcpu)
{
	flushed[vcpu->id]++;
}

static const struct virt_ops ops = {.vm_map_block = map_block, .flush_nested = flush_nested};
const struct virt_ops *virt = &ops;

static int group_setup(void **state)
{
	(void)state;
	left = 0;
	assert_int_equal(balloon_init(), -ENOMEM);
	left = 1;
	return balloon_init();
}

/* All vCPUs in the guest, the first one at its call. */
static int setup(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof(vm));
	vm.node = NODE;
	memset(vcpus, 0, sizeof(vcpus));
	left = BLOCKS + 3;
	out = 1; /* the block of zeroes: group_setup() */
	awaited = 0;
	vm.config = &config;
	vm.status = VM_RUNNING;
	balloon_reset(&vm.balloon);
	vm.balloon.target = BLOCKS;
	assert_int_equal(vm_memory_init(&vm, config.memory), 0);
	while (vm_memory_alloc_step(&vm) > 0)
		continue;
	for (unsigned int i = 0; i < VCPUS; i++) {
		vcpus[i].vm = &vm;
		vcpus[i].id = i;
		vm.vcpus[i] = &vcpus[i];
		balloon_follow(&vcpus[i]);
	}
	vm.vcpu_count = VCPUS;
	memset(flushed, 0, sizeof(flushed));
	memset(kicked, 0, sizeof(kicked));
	pulses = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	balloon_destroy(&vm);
	while (!vm_memory_free_step(&vm))
		continue;
	assert_int_equal(vm.blocks_held, 0);
	assert_int_equal(out, 1);
	return 0;
}

static int64_t call(unsigned int vcpu, uint64_t op, uint64_t argument)
{
	int64_t result = balloon_call(&vcpus[vcpu], op, argument);

	assert_int_equal(vm.lock.next, vm.lock.serving);
	return result;
}

static int64_t give(unsigned int vcpu, uint64_t block)
{
	return call(vcpu, TIDEPOOL_OP_GIVE_BLOCK, block * TIDEPOOL_BLOCK_FRAMES);
}

static int64_t take(unsigned int vcpu, uint64_t block)
{
	return call(vcpu, TIDEPOOL_OP_TAKE_BLOCK, block * TIDEPOOL_BLOCK_FRAMES);
}

static void test_waits_for_those_inside(void **state)
{
	(void)state;
	balloon_leave(&vcpus[2]); /* halted: follows when it comes back */
	assert_int_equal(give(0, 1), -TIDEPOOL_EAGAIN);
	assert_null(vm_gpa_to_host(&vm, BLOCK_SIZE)); /* at once */
	assert_true(balloon_is_given(&vm, BLOCK_SIZE));
	assert_int_equal(rights[1], NPT_READ);
	assert_int_equal(out, 1 + BLOCKS);
	assert_int_equal(vm.blocks_held, BLOCKS);
	assert_int_equal(vm.node_blocks[NODE], BLOCKS);
	assert_int_equal(kicked[0], 0);
	assert_int_equal(kicked[1], 1);
	assert_int_equal(kicked[2], 0);
	assert_int_equal(give(0, 1), -TIDEPOOL_EAGAIN);

	balloon_follow(&vcpus[1]);
	assert_int_equal(flushed[1], 1);
	balloon_follow(&vcpus[1]); /* no change: nothing to flush */
	assert_int_equal(flushed[1], 1);
	assert_int_equal(out, 1 + BLOCKS); /* the call is what ends it */
	assert_int_equal(give(0, 1), 0);
	assert_int_equal(out, BLOCKS);
	assert_int_equal(vm.blocks_held, BLOCKS - 1);
	assert_int_equal(vm.node_blocks[NODE], BLOCKS - 1);

	balloon_follow(&vcpus[0]);
	balloon_follow(&vcpus[2]);
	assert_int_equal(flushed[0], 1);
	assert_int_equal(flushed[2], 1);
}

/* It comes back between two calls, before it has flushed anything: it has done so by then. */
static void test_coming_back_inside(void **state)
{
	(void)state;
	balloon_leave(&vcpus[1]);
	balloon_leave(&vcpus[2]);
	balloon_follow(&vcpus[1]);
	assert_int_equal(flushed[1], 0);
	balloon_leave(&vcpus[1]);
	assert_int_equal(give(0, 0), 0); /* nobody inside but the caller */
	balloon_follow(&vcpus[1]);
	assert_int_equal(flushed[1], 1);
}

static void test_one_change_at_a_time(void **state)
{
	(void)state;
	balloon_leave(&vcpus[2]);
	assert_int_equal(give(0, 1), -TIDEPOOL_EAGAIN);
	assert_int_equal(give(0, 2), -TIDEPOOL_EAGAIN);
	assert_int_equal(take(0, 1), -TIDEPOOL_EAGAIN);
	assert_non_null(vm_gpa_to_host(&vm, 2 * BLOCK_SIZE)); /* not begun */
	balloon_follow(&vcpus[0]); /* it asks now, so the first one has to follow by itself */
	assert_int_equal(give(1, 2), -TIDEPOOL_EAGAIN); /* ends the first one's, begins its own */
	assert_int_equal(vm.blocks_held, BLOCKS - 1);
	assert_null(vm_gpa_to_host(&vm, 2 * BLOCK_SIZE));
	balloon_follow(&vcpus[1]);
	assert_int_equal(give(0, 1), 0); /* ended by the other: still a success */
	assert_int_equal(give(1, 2), 0);
	assert_int_equal(vm.blocks_held, BLOCKS - 2);
}

static void test_taking(void **state)
{
	(void)state;
	balloon_leave(&vcpus[2]);
	balloon_leave(&vcpus[1]);
	assert_int_equal(give(0, 3), 0);
	balloon_follow(&vcpus[1]);
	assert_int_equal(take(0, 3), -TIDEPOOL_EAGAIN); /* may still see the zeroes */
	assert_int_equal(rights[3], NPT_READ | NPT_WRITE | NPT_EXEC);
	assert_null(vm_gpa_to_host(&vm, 3 * BLOCK_SIZE));
	assert_int_equal(vm.blocks_held, BLOCKS);
	balloon_follow(&vcpus[1]);
	assert_int_equal(take(0, 3), 0);
	assert_non_null(vm_gpa_to_host(&vm, 3 * BLOCK_SIZE));
	assert_int_equal(mapped[3], virt_to_phys(vm.blocks[3]));
	assert_int_equal(take(0, 3), 0); /* it is there already */
	assert_int_equal(out, 1 + BLOCKS);
}

static void test_host_without_memory(void **state)
{
	(void)state;
	balloon_leave(&vcpus[2]);
	balloon_leave(&vcpus[1]);
	assert_int_equal(give(0, 3), 0);
	awaited = (uint64_t)left;
	assert_int_equal(take(0, 3), -TIDEPOOL_ENOMEM); /* others were promised it */
	assert_int_equal(vm.blocks_held, BLOCKS - 1);
	awaited = 0;
	assert_int_equal(take(0, 3), 0);
}

/* What the store can spare comes in steps; what others were promised of it is not the guest's. */
static void test_store_makes_room(void **state)
{
	(void)state;
	balloon_leave(&vcpus[2]);
	balloon_leave(&vcpus[1]);
	assert_int_equal(give(0, 3), 0);
	awaited = (uint64_t)left;
	asked = 0;
	stored = 1;
	assert_int_equal(take(0, 3), -TIDEPOOL_EAGAIN);
	assert_int_equal(take(0, 3), -TIDEPOOL_EAGAIN);
	assert_int_equal(take(0, 3), 0);
	assert_int_equal(asked, 2);
	assert_int_equal(vm.blocks_held, BLOCKS);
	awaited = 0;
	left--;
}

/* The guest ends in the middle of a change: tear_down() counts. */
static void test_end_while_giving(void **state)
{
	(void)state;
	assert_int_equal(give(0, 1), -TIDEPOOL_EAGAIN);
}

static void test_end_while_taking(void **state)
{
	(void)state;
	balloon_leave(&vcpus[2]);
	balloon_leave(&vcpus[1]);
	assert_int_equal(give(0, 1), 0);
	balloon_follow(&vcpus[2]);
	assert_int_equal(take(0, 1), -TIDEPOOL_EAGAIN);
}

static void test_report(void **state)
{
	struct tidepool_report report;
	uint64_t frame = 2 * TIDEPOOL_BLOCK_FRAMES + 5;
	struct tidepool_report *page = (void *)vm_gpa_to_host(&vm, frame * PAGE_SIZE);

	(void)state;
	balloon_leave(&vcpus[2]);
	balloon_leave(&vcpus[1]);
	assert_false(balloon_read_report(&vm, &report));
	assert_int_equal(call(0, TIDEPOOL_OP_REPORT, BLOCKS * TIDEPOOL_BLOCK_FRAMES),
			 -TIDEPOOL_EFAULT);
	assert_int_equal(call(0, TIDEPOOL_OP_REPORT, frame), 0);
	*page = (struct tidepool_report){.seconds = 1, .free = 2, .collected = UINT64_MAX};
	assert_true(balloon_read_report(&vm, &report));
	assert_int_equal(report.free, 2);
	assert_int_equal(report.collected, UINT64_MAX);
	assert_int_equal(give(0, 2), 0); /* the page with it */
	assert_false(balloon_read_report(&vm, &report));
	vm.status = VM_DYING;
	assert_false(balloon_read_report(&vm, &report));
}

static void test_target(void **state)
{
	(void)state;
	assert_int_equal(call(0, TIDEPOOL_OP_TARGET, 0), BLOCKS);
	balloon_set_target(&vm, 2);
	assert_int_equal(pulses, 1);
	assert_int_equal(call(0, TIDEPOOL_OP_TARGET, 0), 2);
	balloon_reset(&vm.balloon); /* a new life: the operator's wish stays */
	vm.status = VM_STOPPED;
	balloon_set_target(&vm, 3);
	assert_int_equal(pulses, 1);
	assert_int_equal(call(0, TIDEPOOL_OP_TARGET, 0), 3);
	assert_int_equal(call(0, TIDEPOOL_OP_COUNT, 0), -TIDEPOOL_ENOSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_waits_for_those_inside, setup, tear_down),
		cmocka_unit_test_setup_teardown(test_coming_back_inside, setup, tear_down),
		cmocka_unit_test_setup_teardown(test_one_change_at_a_time, setup, tear_down),
		cmocka_unit_test_setup_teardown(test_taking, setup, tear_down),
		cmocka_unit_test_setup_teardown(test_host_without_memory, setup, tear_down),
		cmocka_unit_test_setup_teardown(test_store_makes_room, setup, tear_down),
		cmocka_unit_test_setup_teardown(test_end_while_giving, setup, tear_down),
		cmocka_unit_test_setup_teardown(test_end_while_taking, setup, tear_down),
		cmocka_unit_test_setup_teardown(test_report, setup, tear_down),
		cmocka_unit_test_setup_teardown(test_target, setup, tear_down),
	};

	return cmocka_run_group_tests_name("balloon", tests, group_setup, NULL);
}

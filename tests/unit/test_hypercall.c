/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's door to the store, with the store behind it: vectors of operations, and what is
 * checked before the store hears of a call. What single calls do is tests/guest/abi.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <tidepool/abi.h>

#include "core/store.h"
#include "core/vm/hypercall.h"
#include "core/vm/session.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"
#include "tests/unit/model_calls.h"
#include "tests/unit/model_host.h"

#define RAM_BLOCKS 2u
#define RAM_FRAMES (RAM_BLOCKS * BLOCK_SIZE / PAGE_SIZE)

/* The guest's frames: descriptors from 0, pages to put from PUTS, pages to get into from GETS. */
#define PUTS  16u
#define GETS  528u
#define PAGES 512u

#define LIST_GPA 0ull

#define COST 3u /* of a page that is decompressed, in those that are copied */

static struct vm vm;
static struct vcpu vcpu;
static uint8_t *blocks[RAM_BLOCKS];

/* What core/store.c counts. */
uint64_t store_block_moves(void)
{
	return model_host.live + 2 * model_host.freed;
}

/* What a manager asks for is another file's: here it is only seen that it is asked. */
int64_t session_manage(struct vm *caller, uint64_t what, uint64_t a, uint64_t b, uint64_t c)
{
	assert_ptr_equal(caller, &vm);
	return what == 7 && a == 1 && b == 2 && c == 0 ? 42 : -TIDEPOOL_EPERM;
}

static int hypercall_setup(void **state)
{
	unsigned int i;

	if (calls_setup(state))
		return -1;
	memset(&vm, 0, sizeof(vm));
	memset(&vcpu, 0, sizeof(vcpu));
	for (i = 0; i < RAM_BLOCKS; i++) {
		blocks[i] = aligned_alloc(BLOCK_SIZE, BLOCK_SIZE);
		assert_non_null(blocks[i]);
		memset(blocks[i], 0, BLOCK_SIZE);
	}
	vm.memory = RAM_BLOCKS * BLOCK_SIZE;
	vm.blocks = blocks;
	vm.block_mask = RAM_BLOCKS - 1;
	vm.tmem = client;
	vcpu.vm = &vm;
	assert_int_equal(pool_create(PERSISTENT), 0);
	assert_int_equal(pool_create(EPHEMERAL), 1);
	return 0;
}

static int hypercall_teardown(void **state)
{
	unsigned int i;

	for (i = 0; i < RAM_BLOCKS; i++)
		free(blocks[i]);
	return calls_teardown(state);
}

static uint64_t *frame(uint64_t gfn)
{
	return (void *)vm_gpa_to_host(&vm, gfn * PAGE_SIZE);
}

/* Contents that no other number has, and that need a frame. */
static void frame_fill(uint64_t gfn, uint64_t number)
{
	unsigned int i;

	for (i = 0; i < PAGE_SIZE / 8; i++)
		frame(gfn)[i] = (number + 1) * 0x10000 + i;
}

static bool frame_holds(uint64_t gfn, uint64_t number)
{
	unsigned int i;

	for (i = 0; i < PAGE_SIZE / 8; i++)
		if (frame(gfn)[i] != (number + 1) * 0x10000 + i)
			return false;
	return true;
}

static struct tidepool_descriptor *descriptor(unsigned int n)
{
	return (struct tidepool_descriptor *)(void *)frame(0) + n;
}

/* Descriptor @n: @op on the page (object 1, index @index) of @pool. */
static void describe(unsigned int n, unsigned int op, unsigned int pool, uint64_t index,
		     uint64_t gfn)
{
	*descriptor(n) = (struct tidepool_descriptor){
		.op = op,
		.pool = pool,
		.oid = {1, 2, 3},
		.index = index,
		.frame = gfn,
		.result = INT64_MIN,
	};
}

static int64_t call(uint64_t op, uint64_t rdi, uint64_t rsi, uint64_t rdx)
{
	vcpu.arch.gpr[RAX] = TIDEPOOL_CALL(op);
	vcpu.arch.gpr[RDI] = rdi;
	vcpu.arch.gpr[RSI] = rsi;
	vcpu.arch.gpr[RDX] = rdx;
	hypercall_fast(&vcpu, 0);
	return (int64_t)vcpu.arch.gpr[RAX];
}

static int64_t vector(unsigned int first, uint64_t count, uint64_t flags)
{
	return call(TIDEPOOL_OP_VECTOR, LIST_GPA + first * sizeof(struct tidepool_descriptor),
		    count, flags);
}

/* Carry out a whole list as a guest does. Returns the calls it took. */
static unsigned int vector_all(unsigned int count)
{
	unsigned int done = 0, calls = 0;

	while (done < count) {
		int64_t ret = vector(done, count - done, 0);

		assert_true(ret > 0 && ret <= count - done);
		done += (unsigned int)ret;
		calls++;
	}
	return calls;
}

static void test_other_calls(void **state)
{
	(void)state;
	assert_int_equal(call(TIDEPOOL_OP_MANAGE, 7, 1, 2), 42);
	assert_int_equal(call(TIDEPOOL_OP_MANAGE, 7, 1, 3), -TIDEPOOL_EPERM);
	assert_int_equal(call(TIDEPOOL_OP_NULL, 0, 0, 0), TIDEPOOL_ABI_VERSION);
	assert_int_equal(call(TIDEPOOL_OP_COUNT, 0, 0, 0), -TIDEPOOL_ENOSYS);
	assert_int_equal(call(0xffff, 0, 0, 0), -TIDEPOOL_ENOSYS);
	assert_int_equal(call(0x10000, 0, 0, 0), -1000);
	assert_int_equal(call(1ull << 32, 0, 0, 0), -1000);
	assert_int_equal(call(1ull << 63, 0, 0, 0), -1000);
	vcpu.arch.gpr[RAX] = TIDEPOOL_CALL(TIDEPOOL_OP_NULL);
	hypercall_fast(&vcpu, 3);
	assert_int_equal((int64_t)vcpu.arch.gpr[RAX], -TIDEPOOL_EPERM);
}

/* As many operations as a call may name, with a result each, in as many steps as it takes. */
static void test_vector_puts_and_gets(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < TIDEPOOL_VECTOR_MAX; i++) {
		frame_fill(PUTS + i, i);
		describe(i, TIDEPOOL_OP_PUT_PAGE, i % 2, i, PUTS + i);
	}
	assert_in_range(vector_all(TIDEPOOL_VECTOR_MAX), 2, 20);
	for (i = 0; i < TIDEPOOL_VECTOR_MAX; i++) {
		assert_int_equal(descriptor(i)->result, 0);
		describe(i, TIDEPOOL_OP_GET_PAGE, i % 2, i, PUTS + PAGES - 1 - i);
	}
	vector_all(TIDEPOOL_VECTOR_MAX);
	for (i = 0; i < TIDEPOOL_VECTOR_MAX; i++) {
		assert_int_equal(descriptor(i)->result, 0);
		assert_true(frame_holds(PUTS + PAGES - 1 - i, i));
	}
	assert_int_equal(stats_of(client).held, TIDEPOOL_VECTOR_MAX / 2);
}

static const void *followed_by[4];
static unsigned int nr_copies;

static void note_next(void)
{
	followed_by[nr_copies++] = model_host.next;
}

/* The page that is put next is brought near, if the descriptor behind says which. */
static void test_vector_looks_ahead(void **state)
{
	const unsigned int last = PAGE_SIZE / sizeof(struct tidepool_descriptor) - 1;
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++)
		frame_fill(PUTS + i, i);
	describe(0, TIDEPOOL_OP_PUT_PAGE, 0, 0, PUTS);
	describe(1, TIDEPOOL_OP_PUT_PAGE, 0, 1, PUTS + 1);
	describe(2, TIDEPOOL_OP_FLUSH_PAGE, 0, 9, PUTS + 3);
	describe(3, TIDEPOOL_OP_PUT_PAGE, 0, 2, PUTS + 2);
	describe(4, TIDEPOOL_OP_PUT_PAGE, 0, 3, RAM_FRAMES); /* no RAM */
	describe(5, TIDEPOOL_OP_PUT_PAGE, 0, 3, PUTS + 3);
	describe(6, TIDEPOOL_OP_PUT_PAGE, 0, 4, PUTS);
	assert_int_equal(vector(0, 1, 0), 1); /* which ends because the store takes a block */
	model_host.on_copy = note_next;
	assert_int_equal(vector(0, 6, 0), 6);
	assert_int_equal(nr_copies, 4);
	assert_ptr_equal(followed_by[0], frame(PUTS + 1));
	assert_null(followed_by[1]);
	assert_null(followed_by[2]);
	assert_null(followed_by[3]); /* of this call it is the last */
	for (i = 0; i < 4; i++)
		followed_by[i] = NULL;

	/* The descriptor behind is in another page, which is not looked for. */
	nr_copies = 0;
	describe(last, TIDEPOOL_OP_PUT_PAGE, 0, 0, PUTS);
	describe(last + 1, TIDEPOOL_OP_PUT_PAGE, 0, 1, PUTS + 1);
	assert_int_equal(vector(last, 2, 0), 2);
	assert_int_equal(nr_copies, 2);
	assert_null(followed_by[0]);
	model_host.on_copy = NULL;
}

/* Each result is the one of a call of its own, and an error stops nothing. */
static void test_vector_results(void **state)
{
	unsigned int i;
	static const struct {
		unsigned int op, pool;
		uint64_t gfn;
		int64_t result;
	} cases[] = {
		{TIDEPOOL_OP_PUT_PAGE, 0, PUTS, 0},
		{TIDEPOOL_OP_PUT_PAGE, 0, RAM_FRAMES, -TIDEPOOL_EFAULT},
		{TIDEPOOL_OP_PUT_PAGE, 0, UINT64_MAX, -TIDEPOOL_EFAULT},
		{TIDEPOOL_OP_PUT_PAGE, 0, 1ull << 52 | PUTS, -TIDEPOOL_EFAULT},
		{TIDEPOOL_OP_PUT_PAGE, 7, PUTS, -TIDEPOOL_ENODEV},
		{TIDEPOOL_OP_PUT_PAGE, UINT32_MAX, PUTS, -TIDEPOOL_ENODEV},
		{TIDEPOOL_OP_GET_PAGE, 1, GETS, -TIDEPOOL_ENOENT},
		{TIDEPOOL_OP_GET_PAGE, 0, UINT64_MAX, -TIDEPOOL_EFAULT},
		{TIDEPOOL_OP_GET_PAGE, 0, GETS, 0},
		{TIDEPOOL_OP_FLUSH_PAGE, 0, UINT64_MAX, 1},
		{TIDEPOOL_OP_FLUSH_PAGE, 0, 0, 0},
		{TIDEPOOL_OP_FLUSH_OBJECT, 0, 0, 0},
		{TIDEPOOL_OP_FLUSH_OBJECT, 9, 0, -TIDEPOOL_ENODEV},
		{TIDEPOOL_OP_NEW_PAGE, 0, UINT64_MAX, 0},
		{TIDEPOOL_OP_FLUSH_RANGE, 0, 7, 7},
		{TIDEPOOL_OP_FLUSH_RANGE, 0, 0, -TIDEPOOL_EINVAL},
		/* The span is 0, and checked before the frame. */
		{TIDEPOOL_OP_READ, 0, UINT64_MAX, -TIDEPOOL_EINVAL},
		{TIDEPOOL_OP_WRITE, 0, PUTS, -TIDEPOOL_EINVAL},
		{TIDEPOOL_OP_XCHG, 0, PUTS, -TIDEPOOL_EINVAL},
		/* What is no operation on pages cannot be in a vector, itself included. */
		{TIDEPOOL_OP_NULL, 0, PUTS, -TIDEPOOL_ENOSYS},
		{TIDEPOOL_OP_NEW_POOL, 0, PUTS, -TIDEPOOL_ENOSYS},
		{TIDEPOOL_OP_DESTROY_POOL, 0, PUTS, -TIDEPOOL_ENOSYS},
		{TIDEPOOL_OP_QUERY, 0, PUTS, -TIDEPOOL_ENOSYS},
		{TIDEPOOL_OP_VECTOR, 0, 1, -TIDEPOOL_ENOSYS},
		{TIDEPOOL_OP_COUNT, 0, PUTS, -TIDEPOOL_ENOSYS},
		{TIDEPOOL_CALL(TIDEPOOL_OP_PUT_PAGE), 0, PUTS, -TIDEPOOL_ENOSYS},
	};
	const unsigned int count = sizeof(cases) / sizeof(cases[0]);

	(void)state;
	frame_fill(PUTS, 42);
	for (i = 0; i < count; i++)
		describe(i, cases[i].op, cases[i].pool, 5, cases[i].gfn);
	vector_all(count);
	for (i = 0; i < count; i++)
		assert_int_equal(descriptor(i)->result, cases[i].result);
	assert_true(frame_holds(GETS, 42));
}

/* A flush that is not finished ends the call: what follows must not overtake it. */
static void test_vector_ends_behind_a_part(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++)
		assert_int_equal(put(0, 1, i, 'a'), 0);
	describe(0, TIDEPOOL_OP_GET_PAGE, 0, 0, GETS);
	describe(1, TIDEPOOL_OP_FLUSH_OBJECT, 0, 0, 0);
	descriptor(1)->oid[1] = descriptor(1)->oid[2] = 0;
	describe(2, TIDEPOOL_OP_PUT_PAGE, 0, 0, PUTS);
	assert_int_equal(vector(0, 3, 0), 2);
	assert_int_equal(descriptor(1)->result, -TIDEPOOL_EAGAIN);
	assert_int_equal(descriptor(2)->result, INT64_MIN);
	assert_int_equal(vector(1, 2, 0), 2);
	assert_int_equal(descriptor(1)->result, 0);
	assert_int_equal(descriptor(2)->result, 0);
	assert_int_equal(stats_of(client).held, 1);

	for (i = 0; i < 400; i++)
		assert_int_equal(put(0, 9, i, 'a'), 0);
	describe(0, TIDEPOOL_OP_FLUSH_RANGE, 0, 0, 400); /* count */
	descriptor(0)->oid[0] = 9;
	descriptor(0)->oid[1] = descriptor(0)->oid[2] = 0;
	describe(1, TIDEPOOL_OP_FLUSH_PAGE, 0, 0, 0);
	assert_int_equal(vector(0, 2, 0), 1);
	assert_in_range(descriptor(0)->result, 1, 399);
	descriptor(0)->frame = 1;
	assert_int_equal(vector(0, 2, 0), 2);
	assert_int_equal(descriptor(0)->result, 1);
	assert_int_equal(descriptor(1)->result, 1);
}

/* A block that goes back to the host is scrubbed: one a call. */
static void test_vector_ends_behind_a_block(void **state)
{
	const unsigned int pages = 3 * 511;
	unsigned int i, calls = 0, done = 0;

	(void)state;
	for (i = 0; i < pages; i++)
		assert_int_equal(put(0, 1, i, 'a'), 0);
	for (i = 0; i < pages; i++)
		if (i % 511 >= 8) /* leave a few pages in each block */
			assert_int_equal(flush(0, 1, i), 1);
	for (i = 0; i < 24; i++) {
		describe(i, TIDEPOOL_OP_FLUSH_PAGE, 0, i / 8 * 511 + i % 8, 0);
		descriptor(i)->oid[1] = descriptor(i)->oid[2] = 0;
	}
	while (done < 24) {
		uint64_t freed = model_host.freed;
		int64_t ret = vector(done, 24 - done, 0);

		assert_true(ret > 0);
		assert_true(model_host.freed <= freed + 1);
		done += (unsigned int)ret;
		calls++;
	}
	assert_true(calls > 1);
	assert_int_equal(stats_of(client).held, 0);
}

/* Compressed pages take longer: fewer of them a call. */
static void test_vector_ends_behind_costs(void **state)
{
	const struct tmem_limits limits = {.cap = UINT64_MAX, .compress = true};
	unsigned int i, calls;

	(void)state;
	client_destroy(client);
	client = vm.tmem = tmem_client_create(&limits);
	assert_int_equal(pool_create(PERSISTENT), 0);
	for (i = 0; i < 128; i++) {
		frame_fill(PUTS + i, i);
		describe(i, TIDEPOOL_OP_PUT_PAGE, 0, i, PUTS + i);
	}
	vector_all(128);
	for (i = 0; i < 128; i++)
		describe(i, TIDEPOOL_OP_GET_PAGE, 0, i, PUTS + PAGES - 1 - i);
	calls = vector_all(128);
	while (tmem_idle_step(true))
		continue;
	assert_in_range(vector_all(128), COST * calls, 2 * COST * calls);
	assert_int_equal(model_host.decompressed, 128);
	for (i = 0; i < 128; i++)
		assert_true(frame_holds(PUTS + PAGES - 1 - i, i));
}

/* The span reaches the store from a descriptor and from R10. */
static void test_parts(void **state)
{
	unsigned int i;

	(void)state;
	frame_fill(PUTS, 3);
	frame_fill(GETS, 4);
	describe(0, TIDEPOOL_OP_WRITE, 0, 1, PUTS);
	descriptor(0)->span = TIDEPOOL_SPAN(8, 16, 24);
	describe(1, TIDEPOOL_OP_READ, 0, 1, GETS);
	descriptor(1)->span = TIDEPOOL_SPAN(16, 16, 0);
	describe(2, TIDEPOOL_OP_XCHG, 0, 1, RAM_FRAMES);
	descriptor(2)->span = TIDEPOOL_SPAN(16, 16, 0);
	vector_all(3);
	assert_int_equal(descriptor(0)->result, 0);
	assert_int_equal(descriptor(1)->result, 0);
	assert_int_equal(descriptor(2)->result, -TIDEPOOL_EFAULT);
	assert_int_equal(frame(GETS)[0], frame(PUTS)[3]);
	assert_int_equal(frame(GETS)[1], 0);
	frame(GETS)[0] = 4 * 0x10000 + 0x10000;
	frame(GETS)[1] = frame(GETS)[0] + 1;
	assert_true(frame_holds(GETS, 4));

	vcpu.arch.gpr[RCX] = 3;
	vcpu.arch.gpr[R8] = 1;
	vcpu.arch.gpr[R9] = GETS;
	vcpu.arch.gpr[R10] = TIDEPOOL_SPAN(4096, 0, 0);
	assert_int_equal(call(TIDEPOOL_OP_XCHG, 0, 1, 2), 0);
	for (i = 0; i < PAGE_SIZE / 8; i++)
		assert_int_equal(frame(GETS)[i], i == 2 ? frame(PUTS)[3] : 0);
	assert_int_equal(call(TIDEPOOL_OP_READ, 0, 1, 2), 0);
	assert_true(frame_holds(GETS, 4));
}

static void test_vector_arguments(void **state)
{
	const uint64_t ram = vm.memory, size = sizeof(struct tidepool_descriptor);
	static const uint64_t bad_flags[] = {2, 3, 1ull << 32, 1ull << 63, UINT64_MAX};
	unsigned int i;

	(void)state;
	describe(0, TIDEPOOL_OP_PUT_PAGE, 0, 1, PUTS);
	assert_int_equal(vector(0, 0, 0), -TIDEPOOL_EINVAL);
	assert_int_equal(vector(0, TIDEPOOL_VECTOR_MAX + 1, 0), -TIDEPOOL_EINVAL);
	assert_int_equal(vector(0, 1ull << 32 | 1, 0), -TIDEPOOL_EINVAL);
	assert_int_equal(vector(0, UINT64_MAX, 0), -TIDEPOOL_EINVAL);
	assert_int_equal(vector(0, TIDEPOOL_VECTOR_ALL_MAX + 1, TIDEPOOL_VECTOR_ALL),
			 -TIDEPOOL_EINVAL);
	for (i = 0; i < sizeof(bad_flags) / sizeof(bad_flags[0]); i++)
		assert_int_equal(vector(0, 1, bad_flags[i]), -TIDEPOOL_EINVAL);
	assert_int_equal(call(TIDEPOOL_OP_VECTOR, 8, 1, 0), -TIDEPOOL_EINVAL);
	assert_int_equal(call(TIDEPOOL_OP_VECTOR, ram, 1, 0), -TIDEPOOL_EFAULT);
	assert_int_equal(call(TIDEPOOL_OP_VECTOR, ram - size, 2, 0), -TIDEPOOL_EFAULT);
	assert_int_equal(call(TIDEPOOL_OP_VECTOR, -size, 1, 0), -TIDEPOOL_EFAULT);
	assert_int_equal(call(TIDEPOOL_OP_VECTOR, -size, 2, 0), -TIDEPOOL_EFAULT);
	assert_int_equal(call(TIDEPOOL_OP_VECTOR, 0 - 512 * size, 512, 0), -TIDEPOOL_EFAULT);
	assert_int_equal(call(TIDEPOOL_OP_VECTOR, VM_HOLE_BASE, 1, 0), -TIDEPOOL_EFAULT);
	assert_int_equal(descriptor(0)->result, INT64_MIN);
	assert_int_equal(stats_of(client).puts, 0);
	/* The last descriptor that there is. */
	assert_int_equal(call(TIDEPOOL_OP_VECTOR, ram - size, 1, 0), 1);
}

/* All pages, or none: then nothing is written, nothing is taken away, nothing has a result. */
static void test_all_or_nothing(void **state)
{
	const unsigned int count = TIDEPOOL_VECTOR_ALL_MAX;
	unsigned int i;

	(void)state;
	for (i = 0; i < count; i++) {
		frame_fill(PUTS + i, i);
		describe(i, TIDEPOOL_OP_PUT_PAGE, i % 2, i, PUTS + i);
	}
	vector_all(count);
	for (i = 0; i < count; i++) {
		describe(i, TIDEPOOL_OP_GET_PAGE, i % 2, i, GETS + i);
		frame_fill(GETS + i, 1000);
	}

	descriptor(count - 1)->index = 1000;
	assert_int_equal(vector(0, count, TIDEPOOL_VECTOR_ALL), -TIDEPOOL_ENOENT);
	descriptor(count - 1)->index = count - 3; /* ephemeral, and named by another one too */
	assert_int_equal(vector(0, count, TIDEPOOL_VECTOR_ALL), -TIDEPOOL_ENOENT);
	descriptor(count - 1)->index = count - 1;
	descriptor(count - 1)->pool = 2;
	assert_int_equal(vector(0, count, TIDEPOOL_VECTOR_ALL), -TIDEPOOL_ENODEV);
	descriptor(count - 1)->pool = 1;
	descriptor(count - 1)->frame = RAM_FRAMES;
	assert_int_equal(vector(0, count, TIDEPOOL_VECTOR_ALL), -TIDEPOOL_EFAULT);
	descriptor(count - 1)->op = TIDEPOOL_OP_FLUSH_PAGE;
	assert_int_equal(vector(0, count, TIDEPOOL_VECTOR_ALL), -TIDEPOOL_EINVAL);
	descriptor(count - 1)->op = TIDEPOOL_OP_GET_PAGE;
	descriptor(count - 1)->frame = GETS + count - 1;
	for (i = 0; i < count; i++) {
		assert_true(frame_holds(GETS + i, 1000));
		assert_int_equal(descriptor(i)->result, INT64_MIN);
	}
	assert_int_equal(stats_of(client).held, count);
	assert_int_equal(stats_of(client).gets, 0);
	assert_int_equal(stats_of(client).misses, 2);

	assert_int_equal(vector(0, count, TIDEPOOL_VECTOR_ALL), count);
	for (i = 0; i < count; i++)
		assert_true(frame_holds(GETS + i, i));
	assert_int_equal(stats_of(client).held, count / 2);
	assert_int_equal(stats_of(client).gets, count);
	assert_int_equal(vector(0, count, TIDEPOOL_VECTOR_ALL), -TIDEPOOL_ENOENT);
	/* A persistent page may be named twice. */
	descriptor(1)->pool = 0;
	descriptor(1)->index = 0;
	assert_int_equal(vector(0, 2, TIDEPOOL_VECTOR_ALL), 2);
	assert_true(frame_holds(GETS + 1, 0));
}

/* A pool that is being destroyed is none, and leaves no lock behind. */
static void test_all_of_a_dying_pool(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++)
		assert_int_equal(put(1, 1, i, 'a'), 0);
	assert_int_equal(put(0, 1, 0, 'a'), 0);
	assert_int_equal(call(TIDEPOOL_OP_DESTROY_POOL, 1, 0, 0), -TIDEPOOL_EAGAIN);
	describe(0, TIDEPOOL_OP_GET_PAGE, 0, 0, GETS);
	descriptor(0)->oid[1] = descriptor(0)->oid[2] = 0;
	describe(1, TIDEPOOL_OP_GET_PAGE, 1, 99, GETS);
	assert_int_equal(vector(0, 2, TIDEPOOL_VECTOR_ALL), -TIDEPOOL_ENODEV);
	assert_int_equal(vector(0, 1, TIDEPOOL_VECTOR_ALL), 1);
	assert_int_equal(call(TIDEPOOL_OP_DESTROY_POOL, 1, 0, 0), 0);
}

#define CALL_TEST(name) cmocka_unit_test_setup_teardown(name, hypercall_setup, hypercall_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CALL_TEST(test_other_calls),
		CALL_TEST(test_vector_puts_and_gets),
		CALL_TEST(test_vector_looks_ahead),
		CALL_TEST(test_vector_results),
		CALL_TEST(test_vector_ends_behind_a_part),
		CALL_TEST(test_vector_ends_behind_a_block),
		CALL_TEST(test_vector_ends_behind_costs),
		CALL_TEST(test_parts),
		CALL_TEST(test_vector_arguments),
		CALL_TEST(test_all_or_nothing),
		CALL_TEST(test_all_of_a_dying_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

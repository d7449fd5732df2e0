/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Many operations in one call. Each descriptor is read once, into the hypervisor's own memory,
 * before anything in it is looked at: other CPUs of the guest may write it meanwhile.
 */
#include <tidepool/abi.h>
#include "core/store.h"
#include "core/vm/hypercall.h"
#include "core/vm/vm.h"
#include "tmem/tmem.h"

/* What one call does at most, in operations on one page. */
#define BUDGET	  64u
#define COST_STEP 32u /* of an operation that goes in bounded steps */

#define DESCRIPTOR_SIZE	 sizeof(struct tidepool_descriptor)
#define DESCRIPTOR_WORDS (DESCRIPTOR_SIZE / sizeof(uint64_t))

_Static_assert(DESCRIPTOR_SIZE == 64, "the ABI's descriptor");
_Static_assert(TIDEPOOL_VECTOR_ALL_MAX == TMEM_GET_ALL_MAX, "the store takes what the ABI allows");

/*
 * A descriptor in guest memory, or NULL. One never crosses a page. Another vCPU may give the block
 * away between two looks: what was there is not there for ever, but an address stays good.
 */
static struct tidepool_descriptor *descriptor_at(const struct vm *vm, uint64_t gpa, uint64_t n)
{
	return (void *)vm_gpa_to_host(vm, gpa + n * DESCRIPTOR_SIZE);
}

/* volatile: each word is read once. */
static struct tidepool_descriptor descriptor_read(const struct tidepool_descriptor *from)
{
	union {
		struct tidepool_descriptor descriptor;
		uint64_t words[DESCRIPTOR_WORDS];
	} copy;
	const volatile uint64_t *words = (const volatile void *)from;
	unsigned int i;

	for (i = 0; i < DESCRIPTOR_WORDS; i++)
		copy.words[i] = words[i];
	return copy.descriptor;
}

static struct page_call call_of(const struct tidepool_descriptor *descriptor)
{
	const unsigned long long *oid = descriptor->oid;

	return (struct page_call){
		.op = descriptor->op,
		.pool = descriptor->pool,
		.key = {.oid = {oid[0], oid[1], oid[2]}, .index = descriptor->index},
		.frame = descriptor->frame,
		.span = descriptor->span,
	};
}

/*
 * The page that the descriptor behind @descriptor puts, or NULL: there is none, it is no put, or it
 * is in another page of memory. A look ahead, that counts for nothing: the guest may change it.
 */
static const void *page_ahead(const struct vm *vm, const struct tidepool_descriptor *descriptor)
{
	const volatile struct tidepool_descriptor *next = descriptor + 1;

	if ((uintptr_t)next % PAGE_SIZE == 0 || next->op != TIDEPOOL_OP_PUT_PAGE)
		return NULL;
	return hypercall_frame(vm, next->frame);
}

/* Whether a result says that only a part of an operation is done. */
static bool is_partial(const struct page_call *call, int64_t result)
{
	if (call->op == TIDEPOOL_OP_FLUSH_RANGE)
		return result > 0 && (uint64_t)result < call->frame;
	return result == -TIDEPOOL_EAGAIN || (result > 1 && call->op != TIDEPOOL_OP_FLUSH_PAGE);
}

/* How much of the budget an operation takes. */
static uint64_t cost(struct vm *vm, const struct page_call *call)
{
	switch (call->op) {
	case TIDEPOOL_OP_READ:
	case TIDEPOOL_OP_WRITE:
	case TIDEPOOL_OP_XCHG:
		return 1;
	case TIDEPOOL_OP_FLUSH_RANGE:
	case TIDEPOOL_OP_FLUSH_OBJECT:
		return tmem_pool_is_huge(vm->tmem, call->pool) ? BUDGET : COST_STEP;
	default:
		return tmem_pool_is_huge(vm->tmem, call->pool) ? BUDGET : 1;
	}
}

static int64_t each(struct vm *vm, uint64_t gpa, uint64_t count)
{
	uint64_t moves = store_block_moves(), costs = tmem_costs();
	uint64_t n = 0, spent = 0;
	bool partial;

	do {
		struct tidepool_descriptor *descriptor = descriptor_at(vm, gpa, n);
		struct tidepool_descriptor copy;
		struct page_call call;
		int64_t result;

		if (!descriptor)
			return n ? (int64_t)n : -TIDEPOOL_EFAULT;
		copy = descriptor_read(descriptor);
		call = call_of(&copy);
		if (n + 1 < count)
			call.next = page_ahead(vm, descriptor);
		result = hypercall_page(vm, &call);
		n++;
		__atomic_store_n(&descriptor->result, result, __ATOMIC_RELAXED);
		partial = is_partial(&call, result);
		spent += cost(vm, &call);
	} while (n < count && spent + (tmem_costs() - costs) < BUDGET && !partial &&
		 moves == store_block_moves());
	return (int64_t)n;
}

/* Get all pages or none. No result is written: the call's own is that of all. */
static int64_t all(struct vm *vm, uint64_t gpa, unsigned int count)
{
	struct tmem_get gets[TIDEPOOL_VECTOR_ALL_MAX];
	bool frames = true;
	unsigned int i;
	int64_t ret;

	for (i = 0; i < count; i++) {
		const struct tidepool_descriptor *descriptor = descriptor_at(vm, gpa, i);
		struct tidepool_descriptor copy;
		struct page_call call;

		if (!descriptor)
			return -TIDEPOOL_EFAULT;
		copy = descriptor_read(descriptor);
		call = call_of(&copy);
		if (call.op != TIDEPOOL_OP_GET_PAGE)
			return -TIDEPOOL_EINVAL;
		gets[i].pool = call.pool;
		gets[i].key = call.key;
		gets[i].page = hypercall_frame(vm, call.frame);
		frames = frames && gets[i].page;
	}
	if (!frames)
		return -TIDEPOOL_EFAULT;
	ret = tmem_get_all(vm->tmem, gets, count);
	return ret ? ret : count;
}

int64_t hypercall_vector(struct vm *vm, uint64_t gpa, uint64_t count, uint64_t flags)
{
	uint64_t max = flags & TIDEPOOL_VECTOR_ALL ? TIDEPOOL_VECTOR_ALL_MAX : TIDEPOOL_VECTOR_MAX;
	uint64_t i;

	if (flags & ~TIDEPOOL_VECTOR_ALL || count == 0 || count > max || gpa % DESCRIPTOR_SIZE)
		return -TIDEPOOL_EINVAL;
	if (gpa > UINT64_MAX - max * DESCRIPTOR_SIZE)
		return -TIDEPOOL_EFAULT;
	for (i = 0; i < count; i++)
		if (!descriptor_at(vm, gpa, i))
			return -TIDEPOOL_EFAULT;
	if (flags & TIDEPOOL_VECTOR_ALL)
		return all(vm, gpa, (unsigned int)count);
	return each(vm, gpa, count);
}

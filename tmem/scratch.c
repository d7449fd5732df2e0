/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/scratch.h"
#include "tmem/frame.h"
#include "tmem/store.h"

/* A cache line each. An atomic exchange hands the frame over, to its CPU or to who drains. */
static struct slot {
	void *frame; /* NULL: in use, or in the allocator, promised */
} __attribute__((aligned(64))) slots[TMEM_MAX_CPUS];

static uint64_t nr_out; /* of the allocator */

void tmem_scratch_init(void)
{
	/* The first block has more frames than there are CPUs. */
	(void)tmem_frame_promise(tmem_store.host.cpus);
}

void *tmem_scratch_take(void)
{
	struct slot *slot = &slots[tmem_store.host.cpu()];
	void *frame = __atomic_exchange_n(&slot->frame, NULL, __ATOMIC_ACQUIRE);

	if (frame)
		return frame;
	__atomic_fetch_add(&nr_out, 1, __ATOMIC_RELAXED);
	return tmem_frame_alloc(TMEM_FRAME_PAGE, true);
}

void tmem_scratch_give(void *frame)
{
	__atomic_store_n(&slots[tmem_store.host.cpu()].frame, frame, __ATOMIC_RELEASE);
}

void tmem_scratch_drain(void)
{
	unsigned int i;

	for (i = 0; i < tmem_store.host.cpus; i++) {
		void *frame = __atomic_exchange_n(&slots[i].frame, NULL, __ATOMIC_ACQUIRE);

		if (!frame)
			continue;
		tmem_frame_free(frame, true);
		__atomic_fetch_sub(&nr_out, 1, __ATOMIC_RELAXED);
	}
}

uint64_t tmem_scratch_count(void)
{
	return __atomic_load_n(&nr_out, __ATOMIC_RELAXED);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tmem/hold.h"
#include "tmem/frame.h"

static uint64_t nr_holds; /* atomic */

void tmem_hold_init(void)
{
	__atomic_store_n(&nr_holds, 0, __ATOMIC_RELAXED);
}

bool tmem_hold_take(void *frame)
{
	uint8_t *holds = tmem_frame_counter(frame);
	uint8_t count = __atomic_load_n(holds, __ATOMIC_RELAXED);

	do {
		if (count == UINT8_MAX)
			return false;
	} while (!__atomic_compare_exchange_n(holds, &count, count + 1, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	__atomic_fetch_add(&nr_holds, 1, __ATOMIC_RELAXED);
	return true;
}

bool tmem_hold_is_shared(const void *frame)
{
	return __atomic_load_n(tmem_frame_counter(frame), __ATOMIC_ACQUIRE) > 0;
}

/* Who lets go has done with the frame before the last takes it: release, acquire. */
bool tmem_hold_drop(void *frame)
{
	uint8_t *holds = tmem_frame_counter(frame);
	uint8_t count = __atomic_load_n(holds, __ATOMIC_ACQUIRE);

	do {
		if (count == 0)
			return true;
	} while (!__atomic_compare_exchange_n(holds, &count, count - 1, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	__atomic_fetch_sub(&nr_holds, 1, __ATOMIC_RELAXED);
	return false;
}

uint64_t tmem_hold_count(void)
{
	return __atomic_load_n(&nr_holds, __ATOMIC_RELAXED);
}

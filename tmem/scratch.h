/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame for each CPU, nobody's and charged to nobody, that a put copies into before it holds a
 * lock or knows where its page belongs. The page then keeps that frame, and the CPU gets the one
 * that the page was entitled to.
 *
 * So the copy runs while the index's lines are on their way from memory, and a lock is held for no
 * longer than it takes to link a record.
 */
#ifndef TMEM_SCRATCH_H
#define TMEM_SCRATCH_H

#include <stdint.h>

/* Set the frames aside. Context: tmem_init(), the allocator has its first block. */
void tmem_scratch_init(void);

/* Returns the calling CPU's frame, of any content. There always is one. */
void *tmem_scratch_take(void);

/* Leave @frame for the CPU's next put: the one taken, or one in exchange for it. */
void tmem_scratch_give(void *frame);

/*
 * tmem_scratch_drain - give the frames to the allocator, still set aside
 *
 * They lie in blocks that could go back to the host otherwise. Those of puts that are running stay.
 */
void tmem_scratch_drain(void);

/* Frames that are not in the allocator. */
uint64_t tmem_scratch_count(void);

#endif

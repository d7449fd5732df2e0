/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that several clients hold, each of them charged for it: who was the last gives it back.
 * See tmem/dedup.h.
 */
#ifndef TMEM_HOLD_H
#define TMEM_HOLD_H

#include <stdbool.h>
#include <stdint.h>

/* There are no holds. Context: tmem_init(). */
void tmem_hold_init(void);

/*
 * tmem_hold_take - have one more client hold a frame, which goes with the last
 *
 * Returns false when too many do. Context: somebody holds it, and goes on to do so meanwhile.
 */
bool tmem_hold_take(void *frame);

/* Whether others hold a frame beside the caller. Context: nobody can come to hold it meanwhile. */
bool tmem_hold_is_shared(const void *frame);

/* tmem_hold_drop - let go of a frame. Returns whether the caller was the last, and has it. */
bool tmem_hold_drop(void *frame);

/* How many holds there are, beside the first of each frame. */
uint64_t tmem_hold_count(void);

#endif

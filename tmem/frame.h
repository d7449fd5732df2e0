/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of 4 KiB, cut out of the host's blocks of 2 MiB.
 *
 * The first frame of a block describes the others. A block whose frames are all free goes back to
 * the host, so that memory returns in the unit it came in; one is kept, so that a client who puts
 * and flushes one page in turn does not make the host scrub 2 MiB each time.
 *
 * Where the host has several nodes, the blocks of each are kept apart, and a frame is taken of the
 * node of the CPU that asks; from elsewhere when that has none, and before a put is refused.
 *
 * Pages and metadata live in different blocks: an index outlives the pages it was made for, and
 * one frame of it would keep the whole block. In a store that is full metadata has to take frames
 * of pages; then all of such a block's that its pages leave are for metadata from there on.
 */
#ifndef TMEM_FRAME_H
#define TMEM_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "tmem/tmem.h"

#define TMEM_FRAMES_PER_BLOCK (TMEM_BLOCK_SIZE / TMEM_PAGE_SIZE - 1) /* usable ones */

/* Returns 0, or -TIDEPOOL_ENOMEM when the host has no block. Context: tmem_init(). */
int tmem_frame_init(void);

/* Give the free blocks back; no frame is in use. Context: tmem_exit(). */
void tmem_frame_exit(void);

enum tmem_frame_use {
	TMEM_FRAME_PAGE,
	TMEM_FRAME_METADATA,
	TMEM_FRAME_USES,
};

/*
 * tmem_frame_promise - set frames aside
 * @want: so many
 *
 * Returns how many were: all, or what there is. Asks the host for nothing: see tmem_frame_fetch().
 */
uint64_t tmem_frame_promise(uint64_t want);

/* Take back a promise of @count frames that have not been taken. */
void tmem_frame_forgo(uint64_t count);

/* tmem_frame_fetch - take one block from the host. Returns whether it had one. No lock held. */
bool tmem_frame_fetch(void);

/*
 * tmem_frame_alloc - take a frame
 * @use:      what for; when the host has no more, a block of the other kind must do
 * @promised: it is one that was promised; it is there, then
 *
 * Returns TMEM_PAGE_SIZE bytes, aligned likewise, with any content: some other client's, perhaps.
 * Whoever takes it overwrites it wholly before a guest can read it. NULL when the host has no
 * more. Context: any locks held but the allocator's own.
 */
void *tmem_frame_alloc(enum tmem_frame_use use, bool promised);

/*
 * tmem_frame_free - give a frame back
 * @promise: and promise it anew
 *
 * The host's block_free is not called from here: see tmem_frame_trim().
 */
void tmem_frame_free(void *frame, bool promise);

/*
 * tmem_frame_trim - hand at most one free block back to the host
 *
 * At most one, because the host scrubs it. Called at the end of each operation that freed frames.
 * Context: no lock held, so that nobody waits for the scrubbing.
 */
void tmem_frame_trim(void);

/* Whether tmem_frame_trim() has work: a stepwise operation ends its step here. */
bool tmem_frame_backlog(void);

/* A counter for each frame in use, which tmem/hold.h has. It is 0 at first. */
uint8_t *tmem_frame_counter(const void *frame);

/* A number for each frame and back, in less bits than its address; 0 is no frame's. */
uint32_t tmem_frame_number(const void *frame);
void *tmem_frame_at(uint32_t number);

/*
 * tmem_frame_seal - choose a block that is to be emptied: tmem/compact.h
 *
 * No frame is taken from it any more; those that are in use go as their users free them. Of the
 * blocks that are looked at it has most frames free. Returns whether there was one.
 */
bool tmem_frame_seal(void);

/* Use the sealed blocks again. What is promised ends it, too, for a block whose frames it needs. */
void tmem_frame_unseal(void);

/* Hand a sealed block back to the host that is empty. Returns whether one was. No lock held. */
bool tmem_frame_hand_back(void);

/* How many blocks are sealed. */
uint64_t tmem_frame_sealed(void);

/* Whether a frame is in such a block. A hint: it may be sealed, or not any more, meanwhile. */
bool tmem_frame_is_sealed(const void *frame);

/*
 * Whether a page's frame may serve for another page: it is neither in a sealed block, nor in one
 * that has come to have metadata, which had better get the frame. A hint likewise.
 */
bool tmem_frame_is_good(const void *frame);

/*
 * Take a free frame, which nobody is promised, for a page; not charged. Of the node of another
 * frame, if there is one. Returns it or NULL.
 */
void *tmem_frame_at_hand(const void *near);

/* The number of a metadata frame's block: tmem/number.h. Context: the frame is the caller's. */
uint32_t tmem_frame_block_number(const void *frame);

/* Blocks taken from the host, and frames in them that are free. */
void tmem_frame_stats(uint64_t *blocks, uint64_t *frames_free);

#endif

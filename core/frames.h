/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host memory: 2 MiB blocks for guests and the store, 4 KiB frames for the hypervisor itself.
 *
 * Whatever is handed out is zeroed. A freed block waits on the dirty list until an idle CPU, or
 * the next allocation, has scrubbed it; nothing of an earlier owner (or of what ran before us) can
 * be read by a later one.
 */
#ifndef CORE_FRAMES_H
#define CORE_FRAMES_H

#include "core/types.h"

/*
 * frames_add - give a range of RAM to the allocator
 * @base, @size: bytes, any alignment; only whole 2 MiB blocks inside are taken
 * Context: boot, one CPU; the range is mapped at the direct map.
 */
void frames_add(hpa_t base, uint64_t size);

/*
 * frame_alloc - one 4 KiB frame, zeroed. Returns its direct-map address or NULL.
 * frame_free  - give one back; scrubbed here.
 * Context: any.
 */
void *frame_alloc(void);
void frame_free(void *frame);

/*
 * block_alloc - one 2 MiB block, zeroed, 2 MiB-aligned. Returns its direct-map address or NULL.
 *		 Scrubs it here (tens of microseconds) when no clean one is left.
 * block_free  - give one back.
 * Context: any.
 */
void *block_alloc(void);
void block_free(void *block);

/*
 * frames_scrub_step - scrub a small part of a dirty block, if there is one: work for an idle CPU
 * Returns whether there was any. Context: any; takes some microseconds.
 */
bool frames_scrub_step(void);

/* frames_free_bytes - RAM that nobody owns, in bytes: free blocks and free frames of split ones. */
uint64_t frames_free_bytes(void);
/* frames_total_bytes - all RAM that was given to the allocator. */
uint64_t frames_total_bytes(void);
/* frames_free_blocks - whole free 2 MiB blocks. */
uint64_t frames_free_blocks(void);

#endif

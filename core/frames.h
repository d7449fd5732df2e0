/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host memory: 2 MiB blocks for guests and the store, 4 KiB frames for the hypervisor itself.
 *
 * Whatever is handed out is zeroed: memory is scrubbed when it is freed, and once at boot on its
 * first hand-out, so nothing of an earlier owner can be read.
 */
#ifndef CORE_FRAMES_H
#define CORE_FRAMES_H

#include "core/types.h"

/*
 * frames_add - give a range of RAM to the allocator
 * @base, @size: bytes, any alignment; only whole frames inside are taken. Not yet scrubbed.
 * Context: boot, one CPU.
 */
void frames_add(hpa_t base, uint64_t size);

/* frame_alloc - one 4 KiB frame, zeroed. Returns its direct-map address or NULL. */
void *frame_alloc(void);
/* frame_free - give one back; it is scrubbed here. */
void frame_free(void *frame);

/* block_alloc - one 2 MiB block, zeroed, 2 MiB-aligned. Returns its direct-map address or NULL. */
void *block_alloc(void);
/* block_free - give one back; it is scrubbed here (about 100 us: see docs/design.md, "Bounds"). */
void block_free(void *block);

/* frames_free_bytes - RAM that nobody owns, in bytes. */
uint64_t frames_free_bytes(void);
/* frames_free_blocks - whole free 2 MiB blocks. */
uint64_t frames_free_blocks(void);

#endif

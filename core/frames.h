/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host memory: 2 MiB blocks for guests and the store, 4 KiB frames for the hypervisor itself.
 *
 * Whatever is handed out is zeroed. A freed block waits on the dirty list until an idle CPU, or
 * the next allocation, has scrubbed it; nothing of an earlier owner (or of what ran before us) can
 * be read by a later one.
 *
 * On a host with several nodes each has lists of its own. Whoever asks prefers a node, its CPU's
 * if it does not say, and gets another's rather than nothing.
 */
#ifndef CORE_FRAMES_H
#define CORE_FRAMES_H

#include "core/nodes.h"
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
 * block_alloc_near - the same, of node @node if that has one
 * block_alloc_of   - the same, of that node or none
 * block_free  - give one back.
 * Context: any.
 */
void *block_alloc(void);
void *block_alloc_near(uint32_t node);
void *block_alloc_of(uint32_t node);
void block_free(void *block);

/*
 * frames_set_nodes - say which memory is of which node; without it there is one
 * @map: copied
 * Context: boot, one CPU, before the first frames_add().
 */
void frames_set_nodes(const struct node_map *map);

/* frames_nodes - how many nodes there are; their numbers are those below. */
uint32_t frames_nodes(void);

/* frames_node_of - the node of a block that is in use, or of a frame in it. Context: any. */
uint32_t frames_node_of(const void *block);

/* frames_roomiest_node - the one of @nodes, a bit for each, with most free blocks */
uint32_t frames_roomiest_node(uint32_t nodes);

/*
 * frames_scrub_step - scrub a small part of a dirty block, if there is one: work for an idle CPU
 * Returns whether there was any. Context: any; takes some microseconds.
 */
bool frames_scrub_step(void);

/*
 * frames_condemn - have the block around an address not come back: block_free() will forget it
 *
 * Its owner goes on using it until then. Returns 0, also for a block that is condemned already, or
 * -ENOSPC: too many are. Context: any, also a handler that interrupted this allocator.
 */
int frames_condemn(hpa_t address);

/* frames_is_condemned - whether it is, or was, in such a block. Context: any. */
bool frames_is_condemned(hpa_t address);

/* frames_free_bytes - RAM that nobody owns, in bytes: free blocks and free frames of split ones. */
uint64_t frames_free_bytes(void);
/* frames_total_bytes - all RAM that was given to the allocator, without what block_free() forgot.
 */
uint64_t frames_total_bytes(void);
/* frames_free_blocks - whole free 2 MiB blocks. */
uint64_t frames_free_blocks(void);
/* frames_node_bytes - of the above, what is of one node. */
void frames_node_bytes(uint32_t node, uint64_t *total, uint64_t *free);

#endif

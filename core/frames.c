/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host memory, in whole 2 MiB blocks.
 *
 * Free blocks hang on one of two lists through their own first bytes: clean (all zero but for the
 * link) and dirty. 4 KiB frames are cut from a block whose first frame becomes the block's header
 * with a bitmap of the others; when all of them are back, the block is whole again. So no table
 * sized by the host's memory is needed, and long use does not shred memory.
 */
#include "core/frames.h"
#include "core/panic.h"
#include "core/spinlock.h"
#include "core/string.h"
#include "arch/x86_64/cpu/paging.h"

#define FRAMES_PER_BLOCK (BLOCK_SIZE / PAGE_SIZE)
#define BITMAP_WORDS	 (FRAMES_PER_BLOCK / 64)
#define SCRUB_STEP	 (4 * KIB)		/* an idle CPU's: somebody may want it */
#define FRAMES_USABLE	 (FRAMES_PER_BLOCK - 1) /* all but the header */

struct free_block {
	struct free_block *next;
	uint64_t scrubbed; /* of a dirty one: so many bytes at its end are zero already */
};

/* The first frame of a block that is cut into frames. */
struct split_block {
	struct split_block *prev, *next; /* on the list of those with free frames */
	uint32_t free_count;
	uint64_t free_map[BITMAP_WORDS]; /* bit set: that frame is free; bit 0, the header, never */
};

_Static_assert(sizeof(struct split_block) <= PAGE_SIZE, "a split block's header is one frame");

static struct {
	struct spinlock lock; /* all below; innermost: no other lock is taken under it */
	struct free_block *clean, *dirty;
	struct split_block *split; /* blocks with at least one free frame */
	uint64_t total_blocks;	   /* ever given to the allocator */
	uint64_t free_blocks;	   /* on both lists */
	uint64_t scrubbed_blocks;  /* on none for the moment: being scrubbed */
	uint64_t free_frames;	   /* in split blocks */
} frames;

static void list_push(struct free_block **list, void *block)
{
	struct free_block *free = block;

	free->next = *list;
	*list = free;
	frames.free_blocks++;
}

static void dirty_push(void *block)
{
	struct free_block *free = block;

	free->scrubbed = 0;
	list_push(&frames.dirty, free);
}

static void *list_pop(struct free_block **list)
{
	struct free_block *free = *list;

	if (!free)
		return NULL;
	*list = free->next;
	free->next = NULL; /* a clean block is all zero again */
	frames.free_blocks--;
	return free;
}

void frames_add(hpa_t base, uint64_t size)
{
	hpa_t from = ALIGN_UP(base, BLOCK_SIZE);
	hpa_t end = ALIGN_DOWN(base + size, BLOCK_SIZE);

	if (base + size < base || from < base)
		return;
	spin_lock(&frames.lock);
	for (hpa_t pa = from; pa < end; pa += BLOCK_SIZE)
		dirty_push(phys_to_virt(pa));
	frames.total_blocks += from < end ? (end - from) / BLOCK_SIZE : 0;
	spin_unlock(&frames.lock);
}

/*
 * Zeroes at most @most bytes of a dirty block that was taken off its list, from the end on, so that
 * the header goes last. Returns whether all of it is zero now.
 */
static bool scrub(struct free_block *block, uint64_t most)
{
	uint64_t dirty = BLOCK_SIZE - block->scrubbed;

	if (dirty <= most) {
		memset(block, 0, dirty);
		return true;
	}
	memset((char *)block + dirty - most, 0, most);
	block->scrubbed += most;
	return false;
}

void *block_alloc(void)
{
	bool dirty = false;
	void *block;

	spin_lock(&frames.lock);
	block = list_pop(&frames.clean);
	if (!block) {
		block = list_pop(&frames.dirty);
		dirty = true;
	}
	spin_unlock(&frames.lock);
	if (block && dirty)
		scrub(block, BLOCK_SIZE);
	return block;
}

void block_free(void *block)
{
	BUG_ON(!IS_ALIGNED((uintptr_t)block, BLOCK_SIZE));
	spin_lock(&frames.lock);
	dirty_push(block);
	spin_unlock(&frames.lock);
}

bool frames_scrub_step(void)
{
	struct free_block *block;
	bool clean;

	spin_lock(&frames.lock);
	block = list_pop(&frames.dirty);
	if (block)
		frames.scrubbed_blocks++;
	spin_unlock(&frames.lock);
	if (!block)
		return false;
	clean = scrub(block, SCRUB_STEP);
	spin_lock(&frames.lock);
	list_push(clean ? &frames.clean : &frames.dirty, block);
	frames.scrubbed_blocks--;
	spin_unlock(&frames.lock);
	return true;
}

static void split_link(struct split_block *split)
{
	split->prev = NULL;
	split->next = frames.split;
	if (split->next)
		split->next->prev = split;
	frames.split = split;
}

static void split_unlink(struct split_block *split)
{
	if (split->prev)
		split->prev->next = split->next;
	else
		frames.split = split->next;
	if (split->next)
		split->next->prev = split->prev;
}

/* Cuts one more block into frames. Context: lock held by the caller, dropped while scrubbing. */
static bool split_another_block(void)
{
	struct split_block *split;

	spin_unlock(&frames.lock);
	split = block_alloc();
	spin_lock(&frames.lock);
	if (!split)
		return false;
	memset(split->free_map, 0xff, sizeof(split->free_map));
	split->free_map[0] &= ~BIT(0);
	split->free_count = FRAMES_USABLE;
	frames.free_frames += FRAMES_USABLE;
	split_link(split);
	return true;
}

void *frame_alloc(void)
{
	struct split_block *split;
	void *frame = NULL;

	spin_lock(&frames.lock);
	while (!frames.split)
		if (!split_another_block())
			goto out;
	split = frames.split;
	for (unsigned int i = 0; i < BITMAP_WORDS; i++) {
		if (!split->free_map[i])
			continue;
		unsigned int bit = (unsigned int)__builtin_ctzll(split->free_map[i]);

		split->free_map[i] &= ~BIT(bit);
		frame = (char *)split + (i * 64 + bit) * PAGE_SIZE;
		break;
	}
	BUG_ON(!frame);
	frames.free_frames--;
	if (--split->free_count == 0)
		split_unlink(split);
out:
	spin_unlock(&frames.lock);
	return frame;
}

void frame_free(void *frame)
{
	struct split_block *split = (void *)ALIGN_DOWN((uintptr_t)frame, BLOCK_SIZE);
	uint64_t index = ((uintptr_t)frame & (BLOCK_SIZE - 1)) / PAGE_SIZE;

	BUG_ON(!IS_ALIGNED((uintptr_t)frame, PAGE_SIZE) || index == 0);
	memset(frame, 0, PAGE_SIZE);

	spin_lock(&frames.lock);
	BUG_ON(split->free_map[index / 64] & BIT(index % 64)); /* freed twice */
	split->free_map[index / 64] |= BIT(index % 64);
	frames.free_frames++;
	if (++split->free_count == 1)
		split_link(split);
	if (split->free_count == FRAMES_USABLE) {
		split_unlink(split);
		frames.free_frames -= FRAMES_USABLE;
		dirty_push(split);
	}
	spin_unlock(&frames.lock);
}

uint64_t frames_total_bytes(void)
{
	return frames.total_blocks * BLOCK_SIZE; /* does not change after boot */
}

uint64_t frames_free_blocks(void)
{
	return __atomic_load_n(&frames.free_blocks, __ATOMIC_RELAXED);
}

uint64_t frames_free_bytes(void)
{
	uint64_t bytes;

	spin_lock(&frames.lock);
	bytes = (frames.free_blocks + frames.scrubbed_blocks) * BLOCK_SIZE +
		frames.free_frames * PAGE_SIZE;
	spin_unlock(&frames.lock);
	return bytes;
}

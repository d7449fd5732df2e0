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
#include "core/errno.h"
#include "core/panic.h"
#include "core/spinlock.h"
#include "core/string.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/platform.h"

#define FRAMES_PER_BLOCK (BLOCK_SIZE / PAGE_SIZE)
#define BITMAP_WORDS	 (FRAMES_PER_BLOCK / 64)
#define SCRUB_STEP	 (4 * KIB)		/* an idle CPU's: somebody may want it */
#define FRAMES_USABLE	 (FRAMES_PER_BLOCK - 1) /* all but the header */
#define CONDEMNED_MAX	 16u /* blocks: with more than these the machine is to be mended */

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

struct node {
	struct free_block *clean, *dirty;
	struct split_block *split; /* blocks with at least one free frame */
	uint64_t total_blocks;	   /* given to the allocator, and not forgotten */
	uint64_t free_blocks;	   /* on both lists */
	uint64_t scrubbed_blocks;  /* on none for the moment: being scrubbed */
	uint64_t free_frames;	   /* in split blocks */
};

static struct {
	struct spinlock lock; /* all below; innermost: no other lock is taken under it */
	struct node nodes[NODES_MAX];
	struct node_map map; /* does not change after boot */
} frames = {.map.count = 1};

/* Blocks that are not to be handed out again, each with a bit set; 0 ends the list. Without a lock.
 */
static hpa_t condemned[CONDEMNED_MAX];
#define CONDEMNED BIT(0)

void frames_set_nodes(const struct node_map *map)
{
	frames.map = *map;
}

uint32_t frames_nodes(void)
{
	return frames.map.count;
}

uint32_t frames_node_of(const void *block)
{
	return frames.map.count > 1 ? node_map_find(&frames.map, virt_to_phys(block)) : 0;
}

static struct node *node_of(const void *block)
{
	return &frames.nodes[frames_node_of(block)];
}

/* The node of the calling CPU. Where there is one, nothing has to be asked. */
static uint32_t home(void)
{
	return frames.map.count > 1 ? platform_node() : 0;
}

/* The nodes in the order in which they are asked: @first, then the others in turn. */
static struct node *nth_node(uint32_t first, uint32_t n)
{
	return &frames.nodes[(first + n) % frames.map.count];
}

static void list_push(struct node *node, struct free_block **list, void *block)
{
	struct free_block *free = block;

	free->next = *list;
	*list = free;
	node->free_blocks++;
}

static void dirty_push(struct node *node, void *block)
{
	struct free_block *free = block;

	free->scrubbed = 0;
	list_push(node, &node->dirty, free);
}

static void *list_pop(struct node *node, struct free_block **list)
{
	struct free_block *free = *list;

	if (!free)
		return NULL;
	*list = free->next;
	free->next = NULL; /* a clean block is all zero again */
	node->free_blocks--;
	return free;
}

void frames_add(hpa_t base, uint64_t size)
{
	hpa_t from = ALIGN_UP(base, BLOCK_SIZE);
	hpa_t end = ALIGN_DOWN(base + size, BLOCK_SIZE);

	if (base + size < base || from < base)
		return;
	spin_lock(&frames.lock);
	for (hpa_t pa = from; pa < end; pa += BLOCK_SIZE) {
		struct node *node = node_of(phys_to_virt(pa));

		dirty_push(node, phys_to_virt(pa));
		node->total_blocks++;
	}
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

/* Takes a block of one of the first @count nodes from @first on; all zero, or NULL. */
static void *alloc(uint32_t first, uint32_t count)
{
	bool dirty = false;
	void *block = NULL;

	spin_lock(&frames.lock);
	for (uint32_t n = 0; n < count && !block; n++) {
		struct node *node = nth_node(first, n);

		block = list_pop(node, &node->clean);
		if (!block) {
			block = list_pop(node, &node->dirty);
			dirty = true;
		}
	}
	spin_unlock(&frames.lock);
	if (block && dirty)
		scrub(block, BLOCK_SIZE);
	return block;
}

void *block_alloc(void)
{
	return block_alloc_near(home());
}

void *block_alloc_near(uint32_t node)
{
	return alloc(node, frames.map.count);
}

void *block_alloc_of(uint32_t node)
{
	return alloc(node, 1);
}

/* Finds the condemned block @block, or the end of the list. Returns CONDEMNED_MAX if it is full. */
static uint32_t find_condemned(hpa_t block)
{
	uint32_t i;

	for (i = 0; i < CONDEMNED_MAX; i++) {
		hpa_t entry = __atomic_load_n(&condemned[i], __ATOMIC_RELAXED);

		if (!entry || entry == (block | CONDEMNED))
			break;
	}
	return i;
}

int frames_condemn(hpa_t address)
{
	hpa_t block = ALIGN_DOWN(address, BLOCK_SIZE), end;
	uint32_t i;

	do { /* until the end is still the end: another CPU may be adding one */
		i = find_condemned(block);
		if (i == CONDEMNED_MAX)
			return -ENOSPC;
		end = 0;
	} while (!__atomic_compare_exchange_n(&condemned[i], &end, block | CONDEMNED, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED) &&
		 end != (block | CONDEMNED));
	return 0;
}

bool frames_is_condemned(hpa_t address)
{
	hpa_t block = ALIGN_DOWN(address, BLOCK_SIZE);
	uint32_t i = find_condemned(block);

	return i < CONDEMNED_MAX &&
	       __atomic_load_n(&condemned[i], __ATOMIC_RELAXED) == (block | CONDEMNED);
}

void block_free(void *block)
{
	struct node *node = node_of(block);

	BUG_ON(!IS_ALIGNED((uintptr_t)block, BLOCK_SIZE));
	spin_lock(&frames.lock);
	if (frames_is_condemned(virt_to_phys(block)))
		node->total_blocks--;
	else
		dirty_push(node, block);
	spin_unlock(&frames.lock);
}

bool frames_scrub_step(void)
{
	struct free_block *block = NULL;
	struct node *node = NULL;
	uint32_t first = home();
	bool clean;

	spin_lock(&frames.lock);
	for (uint32_t n = 0; n < frames.map.count && !block; n++) {
		node = nth_node(first, n);
		block = list_pop(node, &node->dirty);
	}
	if (block)
		node->scrubbed_blocks++;
	spin_unlock(&frames.lock);
	if (!block)
		return false;
	clean = scrub(block, SCRUB_STEP);
	spin_lock(&frames.lock);
	list_push(node, clean ? &node->clean : &node->dirty, block);
	node->scrubbed_blocks--;
	spin_unlock(&frames.lock);
	return true;
}

static void split_link(struct split_block *split)
{
	struct node *node = node_of(split);

	split->prev = NULL;
	split->next = node->split;
	if (split->next)
		split->next->prev = split;
	node->split = split;
}

static void split_unlink(struct split_block *split)
{
	if (split->prev)
		split->prev->next = split->next;
	else
		node_of(split)->split = split->next;
	if (split->next)
		split->next->prev = split->prev;
}

/*
 * Cuts one more block of a node into frames. Context: lock held by the caller, dropped while
 * scrubbing.
 */
static bool split_another_block(struct node *node)
{
	struct split_block *split;

	spin_unlock(&frames.lock);
	split = block_alloc_of((uint32_t)(node - frames.nodes));
	spin_lock(&frames.lock);
	if (!split)
		return false;
	memset(split->free_map, 0xff, sizeof(split->free_map));
	split->free_map[0] &= ~BIT(0);
	split->free_count = FRAMES_USABLE;
	node->free_frames += FRAMES_USABLE;
	split_link(split);
	return true;
}

/* Takes a free frame out of a block that has one. Context: lock held. */
static void *split_take(struct node *node, struct split_block *split)
{
	unsigned int word = 0, bit;

	while (!split->free_map[word])
		word++;
	bit = (unsigned int)__builtin_ctzll(split->free_map[word]);
	split->free_map[word] &= ~BIT(bit);
	node->free_frames--;
	if (--split->free_count == 0)
		split_unlink(split);
	return (char *)split + (word * 64 + bit) * PAGE_SIZE;
}

void *frame_alloc(void)
{
	uint32_t first = home();
	void *frame = NULL;

	spin_lock(&frames.lock);
	for (uint32_t n = 0; n < frames.map.count && !frame; n++) {
		struct node *node = nth_node(first, n);

		while (!node->split)
			if (!split_another_block(node))
				break;
		if (node->split)
			frame = split_take(node, node->split);
	}
	spin_unlock(&frames.lock);
	return frame;
}

void frame_free(void *frame)
{
	struct split_block *split = (void *)ALIGN_DOWN((uintptr_t)frame, BLOCK_SIZE);
	uint64_t index = ((uintptr_t)frame & (BLOCK_SIZE - 1)) / PAGE_SIZE;
	struct node *node = node_of(split);

	BUG_ON(!IS_ALIGNED((uintptr_t)frame, PAGE_SIZE) || index == 0);
	memset(frame, 0, PAGE_SIZE);

	spin_lock(&frames.lock);
	BUG_ON(split->free_map[index / 64] & BIT(index % 64)); /* freed twice */
	split->free_map[index / 64] |= BIT(index % 64);
	node->free_frames++;
	if (++split->free_count == 1)
		split_link(split);
	if (split->free_count == FRAMES_USABLE) {
		split_unlink(split);
		node->free_frames -= FRAMES_USABLE;
		dirty_push(node, split);
	}
	spin_unlock(&frames.lock);
}

/* Context: lock held. */
static uint64_t free_bytes(const struct node *node)
{
	return (node->free_blocks + node->scrubbed_blocks) * BLOCK_SIZE +
	       node->free_frames * PAGE_SIZE;
}

void frames_node_bytes(uint32_t node, uint64_t *total, uint64_t *free)
{
	spin_lock(&frames.lock);
	*total = frames.nodes[node].total_blocks * BLOCK_SIZE;
	*free = free_bytes(&frames.nodes[node]);
	spin_unlock(&frames.lock);
}

uint32_t frames_roomiest_node(uint32_t nodes)
{
	uint64_t most = 0;
	uint32_t best = 0;

	for (uint32_t n = 0; n < frames.map.count; n++) {
		uint64_t there = __atomic_load_n(&frames.nodes[n].free_blocks, __ATOMIC_RELAXED);

		if (nodes & BIT(n) && there > most) {
			most = there;
			best = n;
		}
	}
	return best;
}

uint64_t frames_total_bytes(void)
{
	uint64_t blocks = 0;

	for (uint32_t n = 0; n < frames.map.count; n++)
		blocks += __atomic_load_n(&frames.nodes[n].total_blocks, __ATOMIC_RELAXED);
	return blocks * BLOCK_SIZE;
}

uint64_t frames_free_blocks(void)
{
	uint64_t blocks = 0;

	for (uint32_t n = 0; n < frames.map.count; n++)
		blocks += __atomic_load_n(&frames.nodes[n].free_blocks, __ATOMIC_RELAXED);
	return blocks;
}

uint64_t frames_free_bytes(void)
{
	uint64_t bytes = 0;

	spin_lock(&frames.lock);
	for (uint32_t n = 0; n < frames.map.count; n++)
		bytes += free_bytes(&frames.nodes[n]);
	spin_unlock(&frames.lock);
	return bytes;
}

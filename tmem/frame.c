/* SPDX-License-Identifier: BSD-2-Clause */
#include <tidepool/abi.h>

#include "tmem/frame.h"
#include "tmem/list.h"
#include "tmem/lock.h"
#include "tmem/number.h"
#include "tmem/store.h"

#define FRAMES	     (TMEM_BLOCK_SIZE / TMEM_PAGE_SIZE) /* the header's frame included */
#define WORD_BITS    64u
#define BITMAP_WORDS (FRAMES / WORD_BITS)
#define SEAL_LOOKS   64u  /* at blocks, for the emptiest */
#define KEPT_BLOCKS  16u  /* for each so many blocks, so many */
#define KEPT_FRAMES  128u /* frames, free in a block of metadata, are kept for more of that */

/* The first frame of a block. */
struct block {
	struct tmem_link link;	 /* into partial, empty or sealed; in none when nothing is free */
	struct tmem_link all;	 /* into frames.all */
	bool sealed;		 /* no frame is taken from it; also read without the lock */
	bool mixed;		 /* it had pages when it got metadata; likewise */
	uint8_t node;		 /* constant */
	enum tmem_frame_use use; /* what its frames are taken for */
	uint32_t free;		 /* set bits of the map */
	uint32_t number;	 /* tmem/number.h; 0: none yet */
	uint64_t map[BITMAP_WORDS]; /* bit n: frame n is free; bit 0 is never set */
	uint8_t holds[FRAMES];	    /* tmem/hold.h */
};

_Static_assert(sizeof(struct block) <= TMEM_PAGE_SIZE, "a block's header fills its first frame");

/* The blocks of a node. */
struct node {
	struct tmem_list partial[TMEM_FRAME_USES]; /* some frames free, some not */
	struct tmem_list empty;			   /* all frames free */
	uint64_t nr_blocks;
	uint64_t nr_free; /* frames, but for sealed blocks' */
};

static struct {
	struct tmem_lock lock; /* protects all below and the headers; the innermost lock */
	struct node nodes[TMEM_MAX_NODES];
	unsigned int nr_nodes;	 /* constant; at least 1 */
	struct tmem_list sealed; /* to be emptied */
	struct tmem_list all;	 /* these, and those with nothing free */
	struct tmem_link *hand;	 /* the block in all that is looked at next */
	uint64_t nr_sealed;	 /* also read without the lock */
	uint64_t nr_mixed;	 /* likewise */
	uint64_t nr_empty;
	uint64_t nr_blocks;
	uint64_t nr_free;     /* never less than promised */
	uint64_t nr_promised; /* free frames that only those may take who were promised them */
	uint64_t nr_kept;     /* free frames, of its node, beside which a block may go back */
	bool surplus;	      /* a block can go back; also read without the lock, as a hint */
	char *base;	      /* the block that frames are numbered from: the first one */
} frames;

/* Number a fresh block's frames. Context: the block is the caller's alone. */
static void block_init(struct block *block)
{
	unsigned int i;

	for (i = 0; i < BITMAP_WORDS; i++)
		block->map[i] = UINT64_MAX;
	block->map[0] &= ~1ull;
	block->free = TMEM_FRAMES_PER_BLOCK;
	block->number = 0;
	block->sealed = false;
	block->mixed = false;
	block->node = frames.nr_nodes > 1 ? (uint8_t)tmem_store.host.node_of(block) : 0;
	__builtin_memset(block->holds, 0, sizeof(block->holds));
}

/* The node of the calling CPU. Where there is one, nothing has to be asked. */
static unsigned int home(void)
{
	return frames.nr_nodes > 1 ? tmem_store.host.node() : 0;
}

/* Frames of a block that is not sealed become free or are taken. Context: frames.lock held. */
static void count_free(struct node *node, int64_t change)
{
	node->nr_free += (uint64_t)change;
	frames.nr_free += (uint64_t)change;
}

/* Context: frames.lock held. */
static void empty_push(struct block *block)
{
	tmem_list_push(&frames.nodes[block->node].empty, &block->link);
	frames.nr_empty++;
}

/* Context: frames.lock held, a block of the node is empty. */
static struct block *empty_pop(struct node *node)
{
	struct block *block = tmem_list_entry(node->empty.first, struct block, link);

	tmem_list_remove(&block->link);
	frames.nr_empty--;
	return block;
}

/*
 * A node of which a block may go back to the host, or NULL: of each about a block's worth of free
 * frames is kept, and of all what is promised. Context: frames.lock held.
 */
static struct node *surplus_find(void)
{
	const uint64_t least = frames.nr_kept + TMEM_FRAMES_PER_BLOCK;
	unsigned int n;

	if (frames.nr_empty == 0 || frames.nr_free < frames.nr_promised + least)
		return NULL;
	for (n = 0; n < frames.nr_nodes; n++)
		if (frames.nodes[n].empty.first && frames.nodes[n].nr_free >= least)
			return &frames.nodes[n];
	return NULL;
}

/* Context: frames.lock held; the last thing. */
static void surplus_update(void)
{
	bool surplus = surplus_find();

	if (frames.surplus != surplus)
		__atomic_store_n(&frames.surplus, surplus, __ATOMIC_RELAXED);
}

/*
 * Ask the host for a block. The lock is open meanwhile: the host may scrub before it answers, and
 * other clients go on. Two CPUs may so fetch a block each where one would have done; the second
 * is used up next or trimmed.
 */
static bool fetch(void *(*block_alloc)(void))
{
	struct block *block = block_alloc();

	if (!block)
		return false;
	block_init(block);
	tmem_lock_acquire(&frames.lock);
	if (!frames.base)
		frames.base = (char *)block;
	empty_push(block);
	tmem_list_push(&frames.all, &block->all);
	frames.nr_blocks++;
	frames.nodes[block->node].nr_blocks++;
	count_free(&frames.nodes[block->node], TMEM_FRAMES_PER_BLOCK);
	surplus_update();
	tmem_lock_release(&frames.lock);
	return true;
}

bool tmem_frame_fetch(void)
{
	return fetch(tmem_store.host.block_alloc);
}

int tmem_frame_init(void)
{
	__builtin_memset(&frames, 0, sizeof(frames));
	frames.nr_nodes = tmem_store.host.nodes > 1 ? tmem_store.host.nodes : 1;
	/* What a CPU has taken from a block for its next put does not keep another block here. */
	frames.nr_kept = TMEM_FRAMES_PER_BLOCK - tmem_store.host.cpus;
	tmem_number_init();
	return tmem_frame_fetch() ? 0 : -TIDEPOOL_ENOMEM;
}

/* Forget a block that is in no list but that of all. Context: frames.lock held. */
static void block_forget(struct block *block)
{
	if (frames.hand == &block->all)
		frames.hand = block->all.next;
	tmem_list_remove(&block->all);
	tmem_number_give(block->number);
	frames.nr_blocks--;
	frames.nodes[block->node].nr_blocks--;
}

void tmem_frame_exit(void)
{
	unsigned int n;

	tmem_frame_unseal();
	for (n = 0; n < frames.nr_nodes; n++)
		while (frames.nodes[n].empty.first)
			tmem_store.host.block_free(empty_pop(&frames.nodes[n]));
	tmem_number_exit();
}

/* A block of @use with a free frame, or NULL. Context: frames.lock held. */
static struct block *block_find(struct node *node, enum tmem_frame_use use)
{
	struct tmem_list *partial = &node->partial[use];
	struct block *block;

	if (!partial->first) {
		if (!node->empty.first)
			return NULL;
		block = empty_pop(node);
		block->use = use;
		tmem_list_push(partial, &block->link);
	}
	return tmem_list_entry(partial->first, struct block, link);
}

/* Which frame is wanted. */
struct request {
	enum tmem_frame_use use;
	bool promised;
	unsigned int home; /* the node that is preferred */
	bool moves;	   /* for a page that leaves a sealed block */
};

/*
 * Whether a page's frame may not come from this block: it has metadata, and what is free there will
 * have more of that. Otherwise it would take the frame of a page here and of a page there once the
 * store is full, and each keeps its block from being handed back. A small store has no frame to
 * spare for that, and few blocks that could be kept.
 */
static bool is_kept(const struct request *want, const struct block *block)
{
	return want->use == TMEM_FRAME_PAGE && block->use == TMEM_FRAME_METADATA &&
	       !want->promised && !want->moves &&
	       block->free <= frames.nr_blocks / KEPT_BLOCKS * KEPT_FRAMES;
}

static void mixed_set(struct block *block, bool mixed)
{
	uint64_t count = frames.nr_mixed + mixed - block->mixed;

	__atomic_store_n(&frames.nr_mixed, count, __ATOMIC_RELAXED);
	__atomic_store_n(&block->mixed, mixed, __ATOMIC_RELAXED);
}

/* Have a block with a free frame for metadata. Returns whether it can be. */
static bool block_enlist(struct node *node, struct block *block)
{
	if (!tmem_number_take(&block->number, block))
		return false;
	if (block->use == TMEM_FRAME_METADATA)
		return true;
	block->use = TMEM_FRAME_METADATA;
	mixed_set(block, true);
	tmem_list_remove(&block->link);
	tmem_list_push(&node->partial[TMEM_FRAME_METADATA], &block->link);
	return true;
}

/* Take a frame from a node's blocks of a use, or NULL. Context: frames.lock held. */
static void *frame_take(const struct request *want, unsigned int n, enum tmem_frame_use from)
{
	struct node *node = &frames.nodes[n];
	struct block *block;
	unsigned int word = 0, bit;

	if (!want->promised && frames.nr_free <= frames.nr_promised)
		return NULL;
	block = block_find(node, from);
	if (!block || is_kept(want, block) ||
	    (want->use == TMEM_FRAME_METADATA && !block_enlist(node, block)))
		return NULL;
	while (!block->map[word])
		word++;
	bit = (unsigned int)__builtin_ctzll(block->map[word]);
	block->map[word] &= block->map[word] - 1;
	count_free(node, -1);
	frames.nr_promised -= want->promised;
	if (--block->free == 0)
		tmem_list_remove(&block->link);
	surplus_update();
	return (char *)block + (uint64_t)(word * WORD_BITS + bit) * TMEM_PAGE_SIZE;
}

/* The same of any node, the home first and then the others in turn. Context: frames.lock held. */
static void *frame_take_any(const struct request *want, enum tmem_frame_use from)
{
	void *frame = NULL;
	unsigned int n;

	for (n = 0; n < frames.nr_nodes && !frame; n++)
		frame = frame_take(want, (want->home + n) % frames.nr_nodes, from);
	return frame;
}

/*
 * Take a frame of any node from the blocks at hand. Context: no block of the host's is to be had.
 * @other: of the other kind's as well
 */
static void *frame_take_locked(const struct request *want, bool other)
{
	void *frame;

	tmem_lock_acquire(&frames.lock);
	frame = frame_take_any(want, want->use);
	if (!frame && other)
		frame = frame_take_any(want, want->use == TMEM_FRAME_PAGE ? TMEM_FRAME_METADATA
									  : TMEM_FRAME_PAGE);
	tmem_lock_release(&frames.lock);
	return frame;
}

void *tmem_frame_alloc(enum tmem_frame_use use, bool promised)
{
	const struct request want = {.use = use, .promised = promised, .home = home()};
	void *frame;

	tmem_lock_acquire(&frames.lock);
	frame = frame_take(&want, want.home, use);
	tmem_lock_release(&frames.lock);
	if (frame)
		return frame;

	/* What is at hand elsewhere serves as well, but a block of the home's is better. */
	if (frames.nr_nodes > 1) {
		(void)fetch(tmem_store.host.block_alloc_here);
		frame = frame_take_locked(&want, false);
		if (frame)
			return frame;
	}
	/* Whether it fetches one or not: other CPUs may take all of it, or give some back. */
	(void)tmem_frame_fetch();
	return frame_take_locked(&want, true);
}

static struct block *block_of(const void *frame)
{
	return (void *)((uintptr_t)frame & ~(uintptr_t)(TMEM_BLOCK_SIZE - 1));
}

/* A frame's number in its block. */
static uint64_t number_of(const void *frame)
{
	return (uintptr_t)frame % TMEM_BLOCK_SIZE / TMEM_PAGE_SIZE;
}

uint32_t tmem_frame_number(const void *frame)
{
	return (uint32_t)(((const char *)frame - frames.base) / TMEM_PAGE_SIZE);
}

/* The number has a sign: the first block is not always the lowest. */
void *tmem_frame_at(uint32_t number)
{
	return frames.base + (int64_t)(int32_t)number * TMEM_PAGE_SIZE;
}

uint8_t *tmem_frame_counter(const void *frame)
{
	return &block_of(frame)->holds[number_of(frame)];
}

/* ---- emptying blocks ------------------------------------------------------------------------- */

static void seal(struct block *block)
{
	if (block->free > 0)
		tmem_list_remove(&block->link);
	if (block->free == TMEM_FRAMES_PER_BLOCK)
		frames.nr_empty--;
	count_free(&frames.nodes[block->node], -(int64_t)block->free);
	tmem_list_push(&frames.sealed, &block->link);
	__atomic_store_n(&block->sealed, true, __ATOMIC_RELAXED);
	__atomic_store_n(&frames.nr_sealed, frames.nr_sealed + 1, __ATOMIC_RELAXED);
}

static void unseal(struct block *block)
{
	__atomic_store_n(&frames.nr_sealed, frames.nr_sealed - 1, __ATOMIC_RELAXED);
	__atomic_store_n(&block->sealed, false, __ATOMIC_RELAXED);
	tmem_list_remove(&block->link);
	count_free(&frames.nodes[block->node], block->free);
	if (block->free == TMEM_FRAMES_PER_BLOCK)
		empty_push(block);
	else if (block->free > 0)
		tmem_list_push(&frames.nodes[block->node].partial[block->use], &block->link);
}

/*
 * Whether a block may be emptied: what is promised does not need its free frames, and there is no
 * metadata in it, which cannot move.
 */
static bool may_seal(const struct block *block)
{
	return !block->sealed && !block->number &&
	       frames.nr_free - block->free >= frames.nr_promised;
}

/* The block with most frames free of those that are looked at this time, or NULL. */
static struct block *block_choose(void)
{
	struct block *best = NULL;
	unsigned int looks;

	for (looks = 0; looks < SEAL_LOOKS && looks < frames.nr_blocks; looks++) {
		struct tmem_link *link = frames.hand ? frames.hand : frames.all.first;
		struct block *block = tmem_list_entry(link, struct block, all);

		frames.hand = link->next;
		if (may_seal(block) && (!best || block->free > best->free))
			best = block;
	}
	return best;
}

bool tmem_frame_seal(void)
{
	struct block *block;

	tmem_lock_acquire(&frames.lock);
	block = block_choose();
	if (block)
		seal(block);
	surplus_update();
	tmem_lock_release(&frames.lock);
	return block;
}

void tmem_frame_unseal(void)
{
	tmem_lock_acquire(&frames.lock);
	while (frames.sealed.first)
		unseal(tmem_list_entry(frames.sealed.first, struct block, link));
	surplus_update();
	tmem_lock_release(&frames.lock);
}

bool tmem_frame_hand_back(void)
{
	struct block *block = NULL;
	struct tmem_link *link;

	tmem_lock_acquire(&frames.lock);
	for (link = frames.sealed.first; link; link = link->next) {
		block = tmem_list_entry(link, struct block, link);
		if (block->free == TMEM_FRAMES_PER_BLOCK)
			break;
	}
	if (link) {
		unseal(block);
		tmem_list_remove(&block->link);
		frames.nr_empty--;
		count_free(&frames.nodes[block->node], -(int64_t)TMEM_FRAMES_PER_BLOCK);
		block_forget(block);
	}
	tmem_lock_release(&frames.lock);
	if (link)
		tmem_store.host.block_free(block);
	return link;
}

uint64_t tmem_frame_sealed(void)
{
	return __atomic_load_n(&frames.nr_sealed, __ATOMIC_RELAXED);
}

bool tmem_frame_is_sealed(const void *frame)
{
	return tmem_frame_sealed() > 0 &&
	       __atomic_load_n(&block_of(frame)->sealed, __ATOMIC_RELAXED);
}

bool tmem_frame_is_good(const void *frame)
{
	if (tmem_frame_is_sealed(frame))
		return false;
	return __atomic_load_n(&frames.nr_mixed, __ATOMIC_RELAXED) == 0 ||
	       !__atomic_load_n(&block_of(frame)->mixed, __ATOMIC_RELAXED);
}

void *tmem_frame_at_hand(const void *near)
{
	const struct request want = {
		.use = TMEM_FRAME_PAGE, .home = block_of(near)->node, .moves = true};

	return frame_take_locked(&want, true);
}

/* A frame of a sealed block is free to nobody; what is promised goes before. */
static void sealed_free(struct block *block, bool promise)
{
	block->free++;
	if (promise && frames.nr_free == frames.nr_promised)
		unseal(block);
	frames.nr_promised += promise;
}

static void block_give(struct block *block, bool promise)
{
	struct node *node = &frames.nodes[block->node];

	count_free(node, 1);
	frames.nr_promised += promise;
	if (block->free++ == 0)
		tmem_list_push(&node->partial[block->use], &block->link);
	if (block->free < TMEM_FRAMES_PER_BLOCK)
		return;
	tmem_list_remove(&block->link);
	tmem_number_give(block->number);
	block->number = 0;
	mixed_set(block, false);
	empty_push(block);
}

void tmem_frame_free(void *frame, bool promise)
{
	struct block *block = block_of(frame);
	uint64_t n = number_of(frame);

	tmem_lock_acquire(&frames.lock);
	block->map[n / WORD_BITS] |= 1ull << (n % WORD_BITS);
	if (block->sealed)
		sealed_free(block, promise);
	else
		block_give(block, promise);
	surplus_update();
	tmem_lock_release(&frames.lock);
}

uint32_t tmem_frame_block_number(const void *frame)
{
	return block_of(frame)->number;
}

uint64_t tmem_frame_promise(uint64_t want)
{
	uint64_t count;

	tmem_lock_acquire(&frames.lock);
	count = frames.nr_free - frames.nr_promised;
	if (count > want)
		count = want;
	frames.nr_promised += count;
	surplus_update();
	tmem_lock_release(&frames.lock);
	return count;
}

void tmem_frame_forgo(uint64_t count)
{
	tmem_lock_acquire(&frames.lock);
	frames.nr_promised -= count;
	surplus_update();
	tmem_lock_release(&frames.lock);
}

bool tmem_frame_backlog(void)
{
	return __atomic_load_n(&frames.surplus, __ATOMIC_RELAXED);
}

void tmem_frame_trim(void)
{
	struct block *block = NULL;
	struct node *node;

	if (!tmem_frame_backlog())
		return;
	tmem_lock_acquire(&frames.lock);
	node = surplus_find();
	if (node) {
		block = empty_pop(node);
		block_forget(block);
		count_free(node, -(int64_t)TMEM_FRAMES_PER_BLOCK);
		surplus_update();
	}
	tmem_lock_release(&frames.lock);
	if (block)
		tmem_store.host.block_free(block);
}

void tmem_frame_stats(uint64_t *blocks, uint64_t *frames_free)
{
	tmem_lock_acquire(&frames.lock);
	*blocks = frames.nr_blocks;
	*frames_free = frames.nr_free;
	tmem_lock_release(&frames.lock);
}

uint64_t tmem_node_blocks(unsigned int node)
{
	uint64_t blocks;

	tmem_lock_acquire(&frames.lock);
	blocks = frames.nodes[node].nr_blocks;
	tmem_lock_release(&frames.lock);
	return blocks;
}

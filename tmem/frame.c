/* SPDX-License-Identifier: BSD-2-Clause */
#include <tidepool/abi.h>

#include "tmem/frame.h"
#include "tmem/list.h"
#include "tmem/lock.h"
#include "tmem/store.h"

#define FRAMES	     (TMEM_BLOCK_SIZE / TMEM_PAGE_SIZE) /* the header's frame included */
#define WORD_BITS    64u
#define BITMAP_WORDS (FRAMES / WORD_BITS)
#define SEAL_LOOKS   64u /* at blocks, for the emptiest */

/* The first frame of a block. */
struct block {
	struct tmem_link link;	 /* into partial, empty or sealed; in none when nothing is free */
	struct tmem_link all;	 /* into frames.all */
	bool sealed;		 /* no frame is taken from it; also read without the lock */
	enum tmem_frame_use use; /* what its frames are taken for */
	uint32_t free;		 /* set bits of the map */
	uint32_t number;	 /* in tmem_frame_table; 0: none yet */
	uint64_t map[BITMAP_WORDS]; /* bit n: frame n is free; bit 0 is never set */
	uint8_t holds[FRAMES];	    /* clients that hold the frame, beside the first; atomic */
};

_Static_assert(sizeof(struct block) <= TMEM_PAGE_SIZE, "a block's header fills its first frame");

static struct {
	struct tmem_lock lock; /* protects all below and the headers; the innermost lock */
	struct tmem_list partial[TMEM_FRAME_USES]; /* some frames free, some not */
	struct tmem_list empty;			   /* all frames free */
	struct tmem_list sealed;		   /* to be emptied */
	struct tmem_list all;			   /* these, and those with nothing free */
	struct tmem_link *hand;			   /* the block in all that is looked at next */
	uint64_t nr_sealed;			   /* also read without the lock */
	uint64_t nr_empty;
	uint64_t nr_blocks;
	uint64_t nr_free;     /* never less than promised */
	uint64_t nr_promised; /* free frames that only those may take who were promised them */
	uint64_t nr_kept;     /* free frames beside which a block may go back */
	bool surplus;	      /* a block can go back; also read without the lock, as a hint */
	uint32_t number;      /* the first free entry of the table; 0: none */
	char *base;	      /* the block that frames are numbered from: the first one */
	uint64_t nr_holds;    /* atomic; see tmem_frame_hold() */
	void *table_block;    /* that the table is in, when it has outgrown first_table */
} frames;

/*
 * Entries of blocks that have no number hold the next such entry, shifted past a set bit. Number 0
 * is nobody's. For more blocks than these the table moves to a block of its own: more than 8 GiB of
 * pages have that much to keep track of.
 */
#define FIRST_NUMBERS 64u
#define TABLE_NUMBERS (TMEM_BLOCK_SIZE / sizeof(char *))

static char *first_table[FIRST_NUMBERS];
char **tmem_frame_table = first_table;

static void numbers_add(char **table, uint32_t first, uint32_t end)
{
	uint32_t n;

	for (n = first; n < end; n++)
		table[n] = (char *)((uintptr_t)(n + 1 < end ? n + 1 : 0) << 1 | 1);
	frames.number = first;
}

/*
 * Move the table to where it can grow. Whoever is reading the old one meanwhile finds in it what
 * the new one has as well: it looks for a block that is in use. Context: frames.lock held.
 */
static void table_grow(void)
{
	char **table;

	if (frames.table_block)
		return;
	frames.table_block = tmem_store.host.block_alloc();
	if (!frames.table_block)
		return;
	table = __builtin_memcpy(frames.table_block, first_table, sizeof(first_table));
	numbers_add(table, FIRST_NUMBERS, TABLE_NUMBERS);
	__atomic_store_n(&tmem_frame_table, table, __ATOMIC_RELEASE);
}

/* Give a block a number. Returns whether it has one. Context: frames.lock held. */
static bool number_take(struct block *block)
{
	if (block->number)
		return true;
	if (!frames.number)
		table_grow();
	if (!frames.number)
		return false;
	block->number = frames.number;
	frames.number = (uint32_t)((uintptr_t)tmem_frame_table[block->number] >> 1);
	tmem_frame_table[block->number] = (char *)block;
	return true;
}

/* Context: frames.lock held. */
static void number_give(struct block *block)
{
	if (!block->number)
		return;
	tmem_frame_table[block->number] = (char *)((uintptr_t)frames.number << 1 | 1);
	frames.number = block->number;
}

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
	__builtin_memset(block->holds, 0, sizeof(block->holds));
}

/* Context: frames.lock held. */
static void empty_push(struct block *block)
{
	tmem_list_push(&frames.empty, &block->link);
	frames.nr_empty++;
}

/* Context: frames.lock held, a block is empty. */
static struct block *empty_pop(void)
{
	struct block *block = tmem_list_entry(frames.empty.first, struct block, link);

	tmem_list_remove(&block->link);
	frames.nr_empty--;
	return block;
}

/*
 * About a block's worth of free frames is kept, and what is promised. Context: frames.lock held;
 * the last thing.
 */
static void surplus_update(void)
{
	bool surplus = frames.nr_empty > 0 && frames.nr_free >= frames.nr_promised +
									frames.nr_kept +
									TMEM_FRAMES_PER_BLOCK;

	if (frames.surplus != surplus)
		__atomic_store_n(&frames.surplus, surplus, __ATOMIC_RELAXED);
}

/*
 * Ask the host for a block. The lock is open meanwhile: the host may scrub before it answers, and
 * other clients go on. Two CPUs may so fetch a block each where one would have done; the second
 * is used up next or trimmed.
 */
bool tmem_frame_fetch(void)
{
	struct block *block = tmem_store.host.block_alloc();

	if (!block)
		return false;
	block_init(block);
	tmem_lock_acquire(&frames.lock);
	if (!frames.base)
		frames.base = (char *)block;
	empty_push(block);
	tmem_list_push(&frames.all, &block->all);
	frames.nr_blocks++;
	frames.nr_free += TMEM_FRAMES_PER_BLOCK;
	surplus_update();
	tmem_lock_release(&frames.lock);
	return true;
}

int tmem_frame_init(void)
{
	frames.partial[TMEM_FRAME_PAGE].first = NULL;
	frames.partial[TMEM_FRAME_METADATA].first = NULL;
	frames.empty.first = NULL;
	frames.sealed.first = NULL;
	frames.all.first = NULL;
	frames.hand = NULL;
	frames.nr_sealed = 0;
	frames.nr_empty = 0;
	frames.nr_blocks = 0;
	frames.nr_free = 0;
	frames.nr_promised = 0;
	/* What a CPU has taken from a block for its next put does not keep another block here. */
	frames.nr_kept = TMEM_FRAMES_PER_BLOCK - tmem_store.host.cpus;
	frames.surplus = false;
	tmem_frame_table = first_table;
	frames.table_block = NULL;
	frames.base = NULL;
	frames.nr_holds = 0;
	numbers_add(first_table, 1, FIRST_NUMBERS);
	return tmem_frame_fetch() ? 0 : -TIDEPOOL_ENOMEM;
}

/* Forget a block that is in no list but that of all. Context: frames.lock held. */
static void block_forget(struct block *block)
{
	if (frames.hand == &block->all)
		frames.hand = block->all.next;
	tmem_list_remove(&block->all);
	number_give(block);
	frames.nr_blocks--;
}

void tmem_frame_exit(void)
{
	tmem_frame_unseal();
	while (frames.empty.first)
		tmem_store.host.block_free(empty_pop());
	if (frames.table_block)
		tmem_store.host.block_free(frames.table_block);
}

/* A block of @use with a free frame, or NULL. Context: frames.lock held. */
static struct block *block_find(enum tmem_frame_use use)
{
	struct tmem_list *partial = &frames.partial[use];
	struct block *block;

	if (!partial->first) {
		if (!frames.empty.first)
			return NULL;
		block = empty_pop();
		block->use = use;
		tmem_list_push(partial, &block->link);
	}
	return tmem_list_entry(partial->first, struct block, link);
}

/* Take a frame from the blocks at hand, or NULL. Context: frames.lock held. */
static void *frame_take(enum tmem_frame_use use, enum tmem_frame_use from, bool promised)
{
	struct block *block;
	unsigned int word = 0, bit;

	if (!promised && frames.nr_free <= frames.nr_promised)
		return NULL;
	block = block_find(from);
	if (!block || (use == TMEM_FRAME_METADATA && !number_take(block)))
		return NULL;
	while (!block->map[word])
		word++;
	bit = (unsigned int)__builtin_ctzll(block->map[word]);
	block->map[word] &= block->map[word] - 1;
	frames.nr_free--;
	frames.nr_promised -= promised;
	if (--block->free == 0)
		tmem_list_remove(&block->link);
	surplus_update();
	return (char *)block + (uint64_t)(word * WORD_BITS + bit) * TMEM_PAGE_SIZE;
}

void *tmem_frame_alloc(enum tmem_frame_use use, bool promised)
{
	enum tmem_frame_use other = use == TMEM_FRAME_PAGE ? TMEM_FRAME_METADATA : TMEM_FRAME_PAGE;
	void *frame;

	tmem_lock_acquire(&frames.lock);
	frame = frame_take(use, use, promised);
	tmem_lock_release(&frames.lock);
	if (frame)
		return frame;

	/* Whether it fetches one or not: other CPUs may take all of it, or give some back. */
	(void)tmem_frame_fetch();
	tmem_lock_acquire(&frames.lock);
	frame = frame_take(use, use, promised);
	if (!frame)
		frame = frame_take(use, other, promised);
	tmem_lock_release(&frames.lock);
	return frame;
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

bool tmem_frame_hold(void *frame)
{
	uint8_t *holds = &block_of(frame)->holds[number_of(frame)];
	uint8_t count = __atomic_load_n(holds, __ATOMIC_RELAXED);

	do {
		if (count == UINT8_MAX)
			return false;
	} while (!__atomic_compare_exchange_n(holds, &count, count + 1, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	__atomic_fetch_add(&frames.nr_holds, 1, __ATOMIC_RELAXED);
	return true;
}

bool tmem_frame_is_held(const void *frame)
{
	return __atomic_load_n(&block_of(frame)->holds[number_of(frame)], __ATOMIC_ACQUIRE) > 0;
}

/* Who lets go has done with the frame before the last takes it: release, acquire. */
bool tmem_frame_unhold(void *frame)
{
	uint8_t *holds = &block_of(frame)->holds[number_of(frame)];
	uint8_t count = __atomic_load_n(holds, __ATOMIC_ACQUIRE);

	do {
		if (count == 0)
			return true;
	} while (!__atomic_compare_exchange_n(holds, &count, count - 1, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	__atomic_fetch_sub(&frames.nr_holds, 1, __ATOMIC_RELAXED);
	return false;
}

uint64_t tmem_frame_holds(void)
{
	return __atomic_load_n(&frames.nr_holds, __ATOMIC_RELAXED);
}

/* ---- emptying blocks ------------------------------------------------------------------------- */

static void seal(struct block *block)
{
	if (block->free > 0)
		tmem_list_remove(&block->link);
	if (block->free == TMEM_FRAMES_PER_BLOCK)
		frames.nr_empty--;
	frames.nr_free -= block->free;
	tmem_list_push(&frames.sealed, &block->link);
	__atomic_store_n(&block->sealed, true, __ATOMIC_RELAXED);
	__atomic_store_n(&frames.nr_sealed, frames.nr_sealed + 1, __ATOMIC_RELAXED);
}

static void unseal(struct block *block)
{
	__atomic_store_n(&frames.nr_sealed, frames.nr_sealed - 1, __ATOMIC_RELAXED);
	__atomic_store_n(&block->sealed, false, __ATOMIC_RELAXED);
	tmem_list_remove(&block->link);
	frames.nr_free += block->free;
	if (block->free == TMEM_FRAMES_PER_BLOCK)
		empty_push(block);
	else if (block->free > 0)
		tmem_list_push(&frames.partial[block->use], &block->link);
}

/*
 * Whether a block may be emptied: what is promised does not need its free frames, and there is no
 * metadata in it, which cannot move. Whoever has a number has had some.
 */
static bool may_seal(const struct block *block)
{
	if (block->sealed || frames.nr_free - block->free < frames.nr_promised)
		return false;
	return block->free == TMEM_FRAMES_PER_BLOCK ||
	       (block->use == TMEM_FRAME_PAGE && !block->number);
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
		frames.nr_free -= TMEM_FRAMES_PER_BLOCK;
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

void *tmem_frame_at_hand(void)
{
	void *frame;

	tmem_lock_acquire(&frames.lock);
	frame = frame_take(TMEM_FRAME_PAGE, TMEM_FRAME_PAGE, false);
	if (!frame)
		frame = frame_take(TMEM_FRAME_PAGE, TMEM_FRAME_METADATA, false);
	tmem_lock_release(&frames.lock);
	return frame;
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
	frames.nr_free++;
	frames.nr_promised += promise;
	if (block->free++ == 0)
		tmem_list_push(&frames.partial[block->use], &block->link);
	if (block->free == TMEM_FRAMES_PER_BLOCK) {
		tmem_list_remove(&block->link);
		empty_push(block);
	}
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

bool tmem_frame_convert(const void *frame)
{
	struct block *block = block_of(frame);
	bool done;

	tmem_lock_acquire(&frames.lock);
	done = !block->sealed && number_take(block);
	tmem_lock_release(&frames.lock);
	return done;
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

	if (!tmem_frame_backlog())
		return;
	tmem_lock_acquire(&frames.lock);
	if (frames.surplus) {
		block = empty_pop();
		block_forget(block);
		frames.nr_free -= TMEM_FRAMES_PER_BLOCK;
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

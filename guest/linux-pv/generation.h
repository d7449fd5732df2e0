/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Of each block a generation, by a hash, which moves when the block is written. See cache.h.
 *
 * A word has the generation in bits 31:2; in bit 1 whether a put of one of its blocks has begun since
 * the start (what was never put cannot be got, and need not be flushed); in bit 0 whether a put has
 * it claimed. Bit 1 is never cleared: a word does not know which of its blocks are still in the pool.
 *
 * Context of all but create, destroy: any.
 */
#ifndef TIDEPOOL_PV_GENERATION_H
#define TIDEPOOL_PV_GENERATION_H

#include <linux/atomic.h>
#include <linux/hash.h>
#include <linux/types.h>

#include "pagetable.h"

#define TIDEPOOL_GENERATION_HASH_BITS 18

#define TIDEPOOL_WORD_CLAIMED 1u
#define TIDEPOOL_WORD_PUT     2u
#define TIDEPOOL_WORD_STEP    4u

extern atomic_t *tidepool_generation_words;

int tidepool_generation_create(void);
void tidepool_generation_destroy(void);

static inline atomic_t *tidepool_generation_at(u64 place)
{
	return &tidepool_generation_words[hash_64(place, TIDEPOOL_GENERATION_HASH_BITS)];
}

/* The word, for tidepool_generation_unmoved(), and the generation in one. */
static inline u32 tidepool_generation_word(u64 place)
{
	u32 word = atomic_read(tidepool_generation_at(place));

	smp_mb(); /* what is read after it is not older */
	return word;
}

/* Entries have room for the low bits only. */
static inline u32 tidepool_generation_of(u32 word)
{
	return (word / TIDEPOOL_WORD_STEP) & TIDEPOOL_GENERATION_MASK;
}

/* Whether a put of the block, or of one with the same word, has begun before @word was read. */
static inline bool tidepool_generation_was_put(u32 word)
{
	return word & TIDEPOOL_WORD_PUT;
}

static inline u32 tidepool_generation_read(u64 place)
{
	return tidepool_generation_of(tidepool_generation_word(place));
}

/* The generation that follows. */
static inline u32 tidepool_generation_next(u32 generation)
{
	return (generation + 1) & TIDEPOOL_GENERATION_MASK;
}

/*
 * Returns whether the block, or one with the same word, may be in the pool. If not, a put of what
 * was true before will not begin any more: there is nothing to flush.
 */
bool tidepool_generation_move(u64 place);
void tidepool_generation_move_all(void);

/* Claims it for a put if it is @generation and nobody else has; @word: for _kept(). */
bool tidepool_generation_claim(u64 place, u32 generation, u32 *word);

/* Whether it has not moved since it was claimed; asked before _release() ends the claim. */
bool tidepool_generation_kept(u64 place, u32 word);
void tidepool_generation_release(u64 place);

/* Whether nobody has it claimed and nothing has moved since @word was read. */
bool tidepool_generation_unmoved(u64 place, u32 word);

#endif

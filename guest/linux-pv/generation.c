// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generations of blocks, hashed. A word is a generation, in bits 31:2, whether a put of one of
 * its blocks has begun since the start, in bit 1, and a claim, in bit 0. Bit 1 is never cleared: a
 * word does not know which of its blocks are still in the pool.
 *
 * The atomic operations that return something are full barriers; so what a generation protects is
 * looked at, or done, on the side of it where it stands in the source.
 */

#include <linux/atomic.h>
#include <linux/hash.h>
#include <linux/vmalloc.h>

#include "cache.h"
#include "test.h"

#define GENERATION_HASH_BITS 18
#define GENERATION_COUNT     (1u << GENERATION_HASH_BITS)
#define GENERATION_MASK	     ((1u << TIDEPOOL_GENERATION_BITS) - 1)
#define WORD_CLAIMED	     1u
#define WORD_PUT	     2u
#define WORD_STEP	     4u

static atomic_t *words;

static atomic_t *word_of(u64 place)
{
	return &words[hash_64(place, GENERATION_HASH_BITS)];
}

/* Entries have room for the low bits only. */
u32 tidepool_generation_of(u32 word)
{
	return (word / WORD_STEP) & GENERATION_MASK;
}

int tidepool_generation_create(void)
{
	words = vzalloc(GENERATION_COUNT * sizeof(*words));
	return words ? 0 : -ENOMEM;
}

void tidepool_generation_destroy(void)
{
	vfree(words);
	words = NULL;
}

u32 tidepool_generation_word(u64 place)
{
	u32 word = atomic_read(word_of(place));

	smp_mb(); /* what is read after it is not older */
	return word;
}

u32 tidepool_generation_read(u64 place)
{
	return tidepool_generation_of(tidepool_generation_word(place));
}

bool tidepool_generation_was_put(u32 word)
{
	return word & WORD_PUT;
}

bool tidepool_generation_move(u64 place)
{
	/* It returns something, so it is a barrier: a put that it does not see finds that it moved. */
	return tidepool_generation_was_put(atomic_add_return(WORD_STEP, word_of(place)));
}

void tidepool_generation_move_all(void)
{
	unsigned int i;

	for (i = 0; i < GENERATION_COUNT; i++)
		atomic_add(WORD_STEP, &words[i]);
	smp_mb__after_atomic();
}

u32 tidepool_generation_next(u32 generation)
{
	return (generation + 1) & GENERATION_MASK;
}

bool tidepool_generation_claim(u64 place, u32 generation, u32 *word)
{
	atomic_t *at = word_of(place);

	*word = atomic_read(at);
	if (*word & WORD_CLAIMED)
		return false;
	if (tidepool_generation_of(*word) != generation && tidepool_rule(TIDEPOOL_RULE_STALE))
		return false;
	return (u32)atomic_cmpxchg(at, *word, *word | WORD_CLAIMED | WORD_PUT) == *word;
}

bool tidepool_generation_kept(u64 place, u32 word)
{
	smp_mb(); /* the put before it */
	return (u32)atomic_read(word_of(place)) == (word | WORD_CLAIMED | WORD_PUT);
}

void tidepool_generation_release(u64 place)
{
	smp_mb__before_atomic();
	atomic_andnot(WORD_CLAIMED, word_of(place));
}

bool tidepool_generation_unmoved(u64 place, u32 word)
{
	smp_mb(); /* the get before it */
	return !(word & WORD_CLAIMED) && (u32)atomic_read(word_of(place)) == word;
}

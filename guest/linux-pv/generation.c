// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generations of blocks: how they move, and are claimed.
 *
 * The atomic operations that return something are full barriers; so what a generation protects is
 * looked at, or done, on the side of it where it stands in the source.
 */

#include <linux/vmalloc.h>

#include "generation.h"
#include "test.h"

#define GENERATION_COUNT (1u << TIDEPOOL_GENERATION_HASH_BITS)
#define WORD_IN_PUT	 (TIDEPOOL_WORD_CLAIMED | TIDEPOOL_WORD_PUT)

atomic_t *tidepool_generation_words;

int tidepool_generation_create(void)
{
	tidepool_generation_words = vzalloc(GENERATION_COUNT * sizeof(*tidepool_generation_words));
	return tidepool_generation_words ? 0 : -ENOMEM;
}

void tidepool_generation_destroy(void)
{
	vfree(tidepool_generation_words);
	tidepool_generation_words = NULL;
}

bool tidepool_generation_move(u64 place)
{
	/* It returns something, so it is a barrier: a put that it does not see finds that it moved. */
	u32 word = atomic_add_return(TIDEPOOL_WORD_STEP, tidepool_generation_at(place));

	return tidepool_generation_was_put(word);
}

void tidepool_generation_move_all(void)
{
	unsigned int i;

	for (i = 0; i < GENERATION_COUNT; i++)
		atomic_add(TIDEPOOL_WORD_STEP, &tidepool_generation_words[i]);
	smp_mb__after_atomic();
}

bool tidepool_generation_claim(u64 place, u32 generation, u32 *word)
{
	atomic_t *at = tidepool_generation_at(place);

	*word = atomic_read(at);
	if (*word & TIDEPOOL_WORD_CLAIMED)
		return false;
	if (tidepool_generation_of(*word) != generation && tidepool_rule(TIDEPOOL_RULE_STALE))
		return false;
	return (u32)atomic_cmpxchg(at, *word, *word | WORD_IN_PUT) == *word;
}

bool tidepool_generation_kept(u64 place, u32 word)
{
	smp_mb(); /* the put before it */
	return (u32)atomic_read(tidepool_generation_at(place)) == (word | WORD_IN_PUT);
}

void tidepool_generation_release(u64 place)
{
	smp_mb__before_atomic();
	atomic_andnot(TIDEPOOL_WORD_CLAIMED, tidepool_generation_at(place));
}

bool tidepool_generation_unmoved(u64 place, u32 word)
{
	smp_mb(); /* the get before it */
	return !(word & TIDEPOOL_WORD_CLAIMED) &&
	       (u32)atomic_read(tidepool_generation_at(place)) == word;
}

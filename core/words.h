/* SPDX-License-Identifier: BSD-2-Clause */
/* Words of a line of text, read in place: what the boot line and the module lines are made of. */
#ifndef CORE_WORDS_H
#define CORE_WORDS_H

#include "core/types.h"

/* A part of a line: not terminated. */
struct word {
	const char *start;
	size_t len;
};

bool word_is_space(char c);

/* word_next - take the next word off *text; an empty one when there is none. */
struct word word_next(const char **text);

bool word_is(struct word word, const char *text);

/* word_has_prefix - whether @word starts with @prefix; then *value is what follows. */
bool word_has_prefix(struct word word, const char *prefix, struct word *value);

/* word_is_name - letters, digits, '-' and '_'; not empty, and shorter than @size. */
bool word_is_name(struct word word, size_t size);

/* word_shown - for "%.*s": how much of a word to show, at most @max characters. */
int word_shown(struct word word, int max);

/*
 * word_parse_number - read a decimal number
 * @size: K, M or G may follow
 * Returns false for anything else, too big ones included.
 */
bool word_parse_number(struct word word, bool size, uint64_t *value);

/*
 * word_parse_set - read numbers and ranges with commas between them, such as 0-3,6
 * Bit n of *set stands for the number n, 0 to 63. Returns false for anything else: a number twice,
 * or a range from high to low.
 */
bool word_parse_set(struct word word, uint64_t *set);

/* word_parse_choice - *value is the number of the one of @choices (NULL-ended) that @word is. */
bool word_parse_choice(struct word word, const char *const *choices, uint64_t *value);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/words.h"
#include "core/string.h"

bool word_is_space(char c)
{
	return c == ' ' || c == '\t';
}

struct word word_next(const char **text)
{
	struct word word;

	while (word_is_space(**text))
		(*text)++;
	word.start = *text;
	while (**text && !word_is_space(**text))
		(*text)++;
	word.len = (size_t)(*text - word.start);
	return word;
}

bool word_is(struct word word, const char *text)
{
	return word.len == strlen(text) && memcmp(word.start, text, word.len) == 0;
}

bool word_has_prefix(struct word word, const char *prefix, struct word *value)
{
	size_t len = strlen(prefix);

	if (word.len < len || memcmp(word.start, prefix, len) != 0)
		return false;
	*value = (struct word){.start = word.start + len, .len = word.len - len};
	return true;
}

bool word_is_name(struct word word, size_t size)
{
	if (word.len == 0 || word.len >= size)
		return false;
	for (size_t i = 0; i < word.len; i++) {
		char c = word.start[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    c != '-' && c != '_')
			return false;
	}
	return true;
}

int word_shown(struct word word, int max)
{
	return word.len < (size_t)max ? (int)word.len : max;
}

bool word_parse_number(struct word word, bool size, uint64_t *value)
{
	unsigned int shift = 0;
	uint64_t number = 0;
	size_t digits = word.len;

	if (size && word.len > 0) {
		switch (word.start[word.len - 1]) {
		case 'K':
		case 'k':
			shift = 10;
			break;
		case 'M':
		case 'm':
			shift = 20;
			break;
		case 'G':
		case 'g':
			shift = 30;
			break;
		}
		if (shift)
			digits--;
	}
	if (digits == 0)
		return false;
	for (size_t i = 0; i < digits; i++) {
		char c = word.start[i];

		if (c < '0' || c > '9')
			return false;
		if (__builtin_mul_overflow(number, 10u, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(c - '0'), &number))
			return false;
	}
	return !__builtin_mul_overflow(number, 1ull << shift, value);
}

/* "3" or "0-3". */
static bool parse_range(struct word word, uint64_t *first, uint64_t *last)
{
	struct word end = word;

	for (size_t i = 0; i < word.len; i++) {
		if (word.start[i] != '-')
			continue;
		end = (struct word){.start = word.start + i + 1, .len = word.len - i - 1};
		word.len = i;
	}
	return word_parse_number(word, false, first) && word_parse_number(end, false, last) &&
	       *first <= *last && *last < 64;
}

bool word_parse_set(struct word word, uint64_t *set)
{
	size_t start = 0;

	*set = 0;
	for (size_t i = 0; i <= word.len; i++) {
		struct word part = {.start = word.start + start, .len = i - start};
		uint64_t first, last;

		if (i < word.len && word.start[i] != ',')
			continue;
		if (!parse_range(part, &first, &last))
			return false;
		for (; first <= last; first++) {
			if (*set & BIT(first))
				return false;
			*set |= BIT(first);
		}
		start = i + 1;
	}
	return true;
}

bool word_parse_choice(struct word word, const char *const *choices, uint64_t *value)
{
	for (uint64_t i = 0; choices[i]; i++) {
		if (word_is(word, choices[i])) {
			*value = i;
			return true;
		}
	}
	return false;
}

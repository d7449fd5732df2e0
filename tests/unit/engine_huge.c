/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine's calls on pages of 2 MiB, and on their parts. */
#include <stddef.h>

#include <tidepool/abi.h>

#include "tests/unit/engine.h"
#include "tests/unit/engine_state.h"

#define STEPS_MAX 40u

static uint64_t *part_word(unsigned int part)
{
	return (uint64_t *)engine_with->huge + part * ENGINE_WORDS + part % ENGINE_WORDS;
}

static uint64_t huge_word(uint64_t stamp, unsigned int part)
{
	return stamp % 3 && part % 4 ? 0 : stamp * ENGINE_PARTS + part;
}

static void huge_fill(uint64_t stamp)
{
	unsigned int i;

	for (i = 0; i < ENGINE_PARTS; i++)
		*part_word(i) = huge_word(stamp, i);
}

/* The parts that are changed by themselves. */
static const unsigned int parts[MODEL_PARTS] = {0, 77, 300, ENGINE_PARTS - 1};

/* What the word of part parts[n] is in a page that is there. */
static uint64_t changed_word(struct model_place at, unsigned int n)
{
	uint64_t stamp = model_parts(&engine_model, at)[n];

	return huge_word(stamp ? stamp : engine_page_of(at)->stamp, parts[n]);
}

/* @words: of the parts that may have been changed */
static bool huge_holds(uint64_t stamp, const uint64_t words[MODEL_PARTS])
{
	unsigned int i, n = 0;

	for (i = 0; i < ENGINE_PARTS; i++) {
		bool own = n < MODEL_PARTS && parts[n] == i;

		if (*part_word(i) != (own ? words[n] : huge_word(stamp, i)))
			return false;
		n += own;
	}
	return true;
}

static void part_fill(unsigned int part, uint64_t word)
{
	unsigned int i;

	for (i = 0; i < ENGINE_WORDS; i++)
		engine_page[i] = i == part % ENGINE_WORDS ? word : 0;
}

static bool part_holds(unsigned int part, uint64_t word)
{
	unsigned int i;

	for (i = 0; i < ENGINE_WORDS; i++)
		if (engine_page[i] != (i == part % ENGINE_WORDS ? word : 0))
			return false;
	return true;
}

/* A put of engine_with->huge or a get into it, of @steps at most. Returns the last answer. */
static int64_t huge_steps(struct model_place at, bool put, unsigned int steps)
{
	struct tmem_key key = engine_key_of(at);
	void *page = engine_with->huge;
	int64_t ret = -TIDEPOOL_EAGAIN;
	uint64_t cookie = 0;

	while (steps-- > 0 && (ret > 0 || ret == -TIDEPOOL_EAGAIN)) {
		ret = put ? engine_with->huge_put(at.client, at.pool, &key, page, cookie)
			  : engine_with->huge_get(at.client, at.pool, &key, page, cookie);
		if (ret > 0)
			cookie = (uint64_t)ret;
	}
	return ret;
}

/* A put of so many steps at most: one that is given up leaves nothing to be seen. */
static void huge_put_do(struct model_place at, uint64_t stamp, unsigned int steps)
{
	unsigned int n;
	int64_t ret;

	huge_fill(stamp);
	ret = huge_steps(at, true, steps);
	if (ret > 0 || ret == -TIDEPOOL_EAGAIN)
		engine_page_of(at)->stamp = 0;
	else
		engine_put_answer(at, stamp, ret);
	for (n = 0; n < MODEL_PARTS; n++)
		model_parts(&engine_model, at)[n] = 0;
}

static void huge_get_do(struct model_place at)
{
	uint64_t words[MODEL_PARTS], wanted;
	unsigned int n;
	int64_t ret;

	for (n = 0; n < MODEL_PARTS; n++)
		words[n] = changed_word(at, n);
	huge_fill(0);
	ret = huge_steps(at, false, STEPS_MAX);
	wanted = engine_get_answer(at, ret);
	engine_expect(!wanted || huge_holds(wanted, words), "get of 2 MiB: contents", ret);
}

static void part_read_do(struct model_place at, unsigned int n)
{
	const uint64_t untouched = UINT64_MAX;
	struct tmem_key key = engine_key_of(at);
	uint64_t word = changed_word(at, n), stamp = engine_page_of(at)->stamp;
	int64_t ret;

	part_fill(parts[n], untouched);
	ret = engine_with->read(at.client, at.pool, &key, parts[n], engine_page);
	(void)engine_get_answer(at, ret);
	if (ret == 0)
		engine_page_of(at)->stamp = stamp;
	engine_expect(part_holds(parts[n], ret ? untouched : word), "read of a part: contents",
		      ret);
}

/* A write, or an exchange, which a refusal leaves as it was. */
static void part_change_do(struct model_place at, unsigned int n, uint64_t stamp, bool exchange)
{
	struct tmem_key key = engine_key_of(at);
	uint64_t old = changed_word(at, n), word = huge_word(stamp, parts[n]);
	uint64_t held = engine_page_of(at)->stamp;
	int64_t ret;

	part_fill(parts[n], word);
	ret = exchange ? engine_with->exchange(at.client, at.pool, &key, parts[n], engine_page)
		       : engine_with->write(at.client, at.pool, &key, parts[n], engine_page);
	engine_expect(part_holds(parts[n], exchange && ret == 0 ? old : word), "part: contents",
		      ret);
	if (ret && ret != -TIDEPOOL_ENOENT) {
		engine_expect(ret == (engine_model.frozen[at.client] ? -TIDEPOOL_EFROZEN
								     : -TIDEPOOL_ENOMEM),
			      "change of a part", ret);
		return;
	}
	engine_expect(ret || !engine_model.frozen[at.client], "change of a part, frozen", ret);
	(void)engine_get_answer(at, ret);
	if (ret)
		return;
	engine_page_of(at)->stamp = held;
	model_parts(&engine_model, at)[n] = stamp;
}

void engine_huge_call(struct model_place at, unsigned int choice, uint64_t stamp)
{
	unsigned int more = choice / 8;
	struct tmem_key key;
	int64_t ret;

	at.index %= MODEL_HUGE_KEYS;
	key = engine_key_of(at);
	switch (choice % 8) {
	case 0:
		huge_put_do(at, stamp, 1 + more % 8);
		break;
	case 1:
		huge_put_do(at, stamp, STEPS_MAX);
		break;
	case 2:
		huge_get_do(at);
		break;
	case 3:
		do
			ret = engine_with->huge_flush(at.client, at.pool, &key);
		while (ret == -TIDEPOOL_EAGAIN);
		engine_flush_answer(at, ret);
		break;
	case 4:
		part_read_do(at, more % MODEL_PARTS);
		break;
	case 5:
	case 6:
		part_change_do(at, more % MODEL_PARTS, stamp, choice % 8 == 6);
		break;
	default:
		engine_flush_range(at, 1 + more);
	}
}

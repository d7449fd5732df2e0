/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pools of the store that guests share: "pool=" on the boot line makes one, "shared=" on a kernel
 * line lets that guest use it. Nobody gets at a pool by knowing its name. And guests whose equal
 * pages share memory, "dedup=".
 */
#include "core/config_shared.h"
#include "core/string.h"

#define TEXT(x)	 #x
#define VALUE(x) TEXT(x)

/* Takes the part up to the next comma off *rest. */
static struct word part_next(struct word *rest)
{
	struct word part = {rest->start, 0};

	while (part.len < rest->len && part.start[part.len] != ',')
		part.len++;
	rest->start += part.len + (part.len < rest->len);
	rest->len -= part.len + (part.len < rest->len);
	return part;
}

static bool parse_size(struct word word, uint64_t max, uint64_t *value)
{
	return word_parse_number(word, true, value) && *value <= max;
}

/* One of the parts behind a pool's name. Returns false when it is none. */
static bool parse_part(struct word part, struct pool_config *pool)
{
	struct word value;
	uint64_t weight;

	if (word_is(part, "persistent")) {
		pool->persistent = true;
		return true;
	}
	if (word_has_prefix(part, "tmem=", &value))
		return parse_size(value, UINT64_MAX, &pool->tmem_cap);
	if (word_has_prefix(part, "tmem_reserve=", &value))
		return parse_size(value, CONFIG_MEMORY_MAX, &pool->tmem_reserve);
	if (!word_has_prefix(part, "tmem_weight=", &value) ||
	    !word_parse_number(value, false, &weight) || weight < 1 || weight > CONFIG_WEIGHT_MAX)
		return false;
	pool->tmem_weight = (uint16_t)weight;
	return true;
}

static int find_pool(const struct config *config, struct word name)
{
	for (uint32_t i = 0; i < config->pool_count; i++)
		if (word_is(name, config->pools[i].name))
			return (int)i;
	return -1;
}

const char *config_parse_pool(struct word text, struct config *config)
{
	struct pool_config *pool = &config->pools[config->pool_count];
	struct word name = part_next(&text);

	if (!word_is_name(name, CONFIG_NAME_MAX))
		return "ignored; expected pool= and a name: at most 15 letters, digits, - and _";
	if (find_pool(config, name) >= 0)
		return "ignored; expected each pool's name once";
	if (config->pool_count == CONFIG_MAX_POOLS)
		return "ignored; expected no more than " VALUE(CONFIG_MAX_POOLS) " pools";
	*pool = (struct pool_config){.tmem_cap = UINT64_MAX, .tmem_weight = 1};
	memcpy(pool->name, name.start, name.len); /* the rest is zero */
	while (text.len > 0)
		if (!parse_part(part_next(&text), pool))
			return "ignored; expected persistent, tmem=, tmem_reserve= or "
			       "tmem_weight= behind the pool's name, with commas between them";
	config->pool_count++;
	return NULL;
}

const char *config_parse_grant(struct word text, const struct config *config,
			       struct guest_config *guest)
{
	struct word name = {text.start, text.len > 3 ? text.len - 3 : 0};
	struct word right = {text.start + name.len, text.len - name.len};
	int pool = find_pool(config, name);

	if (!word_is(right, ":ro") && !word_is(right, ":rw"))
		return "a pool's name with :ro or :rw behind it";
	if (pool < 0)
		return "the name of a pool= on the boot line";
	for (uint32_t i = 0; i < guest->grant_count; i++)
		if (guest->grants[i].pool == pool)
			return "each pool once";
	/* As many grants as there are pools: there is room. */
	guest->grants[guest->grant_count++] = (struct grant_config){
		.pool = (uint8_t)pool,
		.write = word_is(right, ":rw"),
	};
	return NULL;
}

const char *config_parse_dedup(struct word text, struct config *config, struct guest_config *guest)
{
	uint32_t group = 0;

	if (guest->dedup != CONFIG_DEDUP_ALONE)
		return "it once a line";
	if (word_is(text, "off")) {
		guest->dedup = CONFIG_DEDUP_OFF;
		return NULL;
	}
	if (!word_is_name(text, CONFIG_NAME_MAX))
		return "off, or a group's name: at most 15 letters, digits, - and _";
	while (group < config->dedup_group_count && !word_is(text, config->dedup_groups[group]))
		group++;
	if (group == CONFIG_MAX_DEDUP_GROUPS)
		return "no more than " VALUE(CONFIG_MAX_DEDUP_GROUPS) " groups";
	if (group == config->dedup_group_count) {
		memcpy(config->dedup_groups[group], text.start, text.len); /* the rest is zero */
		config->dedup_group_count++;
	}
	guest->dedup = CONFIG_DEDUP_GROUP + group;
	return NULL;
}

_Static_assert(CONFIG_NAME_MAX == 16, "the sentence about names says 15");

/* SPDX-License-Identifier: BSD-2-Clause */
/* The words about shared pools: what is right is taken as written, the rest gets a sentence. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/config_shared.h"

static struct config config;
static struct guest_config guest;

static const char *pool(const char *text)
{
	return config_parse_pool((struct word){text, strlen(text)}, &config);
}

static const char *grant(const char *text)
{
	return config_parse_grant((struct word){text, strlen(text)}, &config, &guest);
}

static const char *dedup(const char *text)
{
	return config_parse_dedup((struct word){text, strlen(text)}, &config, &guest);
}

static int begin(void **state)
{
	(void)state;
	memset(&config, 0, sizeof(config));
	memset(&guest, 0, sizeof(guest));
	return 0;
}

static void test_good_words(void **state)
{
	(void)state;
	assert_null(pool("base,tmem=64M,tmem_reserve=2M,tmem_weight=7"));
	assert_null(pool("swap,persistent"));
	assert_null(pool("fifteen_letters"));
	assert_int_equal(config.pool_count, 3);
	assert_string_equal(config.pools[0].name, "base");
	assert_int_equal(config.pools[0].tmem_cap, 64 * MIB);
	assert_int_equal(config.pools[0].tmem_reserve, 2 * MIB);
	assert_int_equal(config.pools[0].tmem_weight, 7);
	assert_false(config.pools[0].persistent);
	assert_string_equal(config.pools[1].name, "swap");
	assert_int_equal(config.pools[1].tmem_cap, UINT64_MAX);
	assert_int_equal(config.pools[1].tmem_weight, 1);
	assert_true(config.pools[1].persistent);
	assert_string_equal(config.pools[2].name, "fifteen_letters");

	assert_null(grant("swap:ro"));
	assert_null(grant("base:rw"));
	assert_int_equal(guest.grant_count, 2);
	assert_int_equal(guest.grants[0].pool, 1);
	assert_false(guest.grants[0].write);
	assert_int_equal(guest.grants[1].pool, 0);
	assert_true(guest.grants[1].write);
}

/* Guests that give the same name are in one group. */
static void test_dedup(void **state)
{
	char name[16];
	unsigned int i;

	(void)state;
	assert_int_equal(guest.dedup, CONFIG_DEDUP_ALONE);
	assert_null(dedup("off"));
	assert_int_equal(guest.dedup, CONFIG_DEDUP_OFF);
	assert_string_equal(dedup("web"), "it once a line");
	for (i = 0; i < 2 * CONFIG_MAX_DEDUP_GROUPS; i++) {
		guest.dedup = CONFIG_DEDUP_ALONE;
		snprintf(name, sizeof(name), "group%u", i % CONFIG_MAX_DEDUP_GROUPS);
		assert_null(dedup(name));
		assert_int_equal(guest.dedup, CONFIG_DEDUP_GROUP + i % CONFIG_MAX_DEDUP_GROUPS);
	}
	guest.dedup = CONFIG_DEDUP_ALONE;
	assert_string_equal(dedup("another"), "no more than 16 groups");
	assert_string_equal(dedup(""),
			    "off, or a group's name: at most 15 letters, digits, - and _");
	assert_string_equal(dedup("sixteen_letters_"),
			    "off, or a group's name: at most 15 letters, digits, - and _");
	assert_int_equal(guest.dedup, CONFIG_DEDUP_ALONE);
}

static void test_bad_pools(void **state)
{
	static const char *const bad[] = {
		"",
		"a/b",
		",persistent",
		"a,tmem=x",
		"a,tmem_weight",
		"a,tmem_weight=0",
		"a,tmem_weight=101",
		"a,,persistent",
		"a,rw",
		"a,tmem_reserve=2T",
		"a,persistent=1",
		"sixteen_letters_",
	};
	char name[16];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		begin(state);
		assert_non_null(pool(bad[i]));
		assert_int_equal(config.pool_count, 0);
	}
	for (int i = 0; i < CONFIG_MAX_POOLS; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		assert_null(pool(name));
		assert_string_equal(pool(name), "ignored; expected each pool's name once");
	}
	assert_string_equal(pool("p8"), "ignored; expected no more than 8 pools");
}

static void test_bad_grants(void **state)
{
	static const char form[] = "a pool's name with :ro or :rw behind it";
	static const char unknown[] = "the name of a pool= on the boot line";

	(void)state;
	assert_null(pool("a"));
	assert_string_equal(grant(""), form);
	assert_string_equal(grant("a"), form);
	assert_string_equal(grant("a:rx"), form);
	assert_string_equal(grant("a:ro,"), form);
	assert_string_equal(grant(":rw"), unknown);
	assert_string_equal(grant("b:rw"), unknown);
	assert_string_equal(grant("aa:rw"), unknown);
	assert_null(grant("a:ro"));
	assert_string_equal(grant("a:rw"), "each pool once");
	assert_int_equal(guest.grant_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_good_words, begin),
		cmocka_unit_test_setup(test_bad_pools, begin),
		cmocka_unit_test_setup(test_bad_grants, begin),
		cmocka_unit_test_setup(test_dedup, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

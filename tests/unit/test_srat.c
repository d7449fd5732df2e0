/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arch/x86_64/cpu/srat.c on tables made here, each in a buffer of just its size, so that the
 * address sanitizer sees any read beyond it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/cpu/srat.h"

#define TABLE_MAX 8192u
#define HEADER	  48u
#define BIG	  0xfffffff0u /* a domain */

static uint8_t table[TABLE_MAX];
static size_t table_size;
static struct srat srat;

static void put(size_t at, uint64_t value, unsigned int width)
{
	for (unsigned int i = 0; i < width; i++)
		table[at + i] = (uint8_t)(value >> (8 * i));
}

static size_t add_entry(uint8_t type, uint8_t size)
{
	size_t at = table_size;

	memset(table + at, 0, size);
	table[at] = type;
	table[at + 1] = size;
	table_size += size;
	return at;
}

static void add_lapic(uint32_t domain, uint8_t id)
{
	size_t at = add_entry(0, 16);

	put(at + 2, domain, 1);
	put(at + 3, id, 1);
	put(at + 4, 1, 4);
	put(at + 9, domain >> 8, 3);
}

static void add_x2apic(uint32_t domain, uint32_t id)
{
	size_t at = add_entry(2, 24);

	put(at + 4, domain, 4);
	put(at + 8, id, 4);
	put(at + 12, 1, 4);
}

static size_t add_memory(uint32_t domain, uint64_t base, uint64_t size)
{
	size_t at = add_entry(1, 40);

	put(at + 2, domain, 4);
	put(at + 8, base, 8);
	put(at + 16, size, 8);
	put(at + 28, 1, 4);
	return at;
}

static void parse_size(size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, table, size);
	srat_parse(copy, size, &srat);
	free(copy);
}

static void parse(void)
{
	parse_size(table_size);
}

static void assert_one_node(void)
{
	assert_int_equal(srat.map.count, 1);
	assert_int_equal(srat.map.range_count, 0);
	assert_int_equal(srat_node_of_cpu(&srat, 1), 0);
}

static void assert_fault(const char *fault)
{
	parse();
	assert_non_null(srat.fault);
	assert_string_equal(srat.fault, fault);
	assert_one_node();
}

static int setup(void **state)
{
	(void)state;
	memset(table, 0, sizeof(table));
	table[8] = 3;
	table_size = HEADER;
	return 0;
}

/* Two nodes: CPUs 0 and 1000 with the first GiB and the third, CPU 1 with the second. */
static void put_usual(void)
{
	add_lapic(7, 0);
	add_lapic(BIG, 1);
	add_x2apic(7, 1000);
	add_memory(7, 0, GIB);
	add_memory(BIG, GIB, GIB);
	add_memory(7, 2 * GIB, GIB);
}

static void check_usual(void)
{
	assert_null(srat.fault);
	assert_int_equal(srat.map.count, 2);
	assert_int_equal(srat_node_of_cpu(&srat, 0), 0);
	assert_int_equal(srat_node_of_cpu(&srat, 1), 1);
	assert_int_equal(srat_node_of_cpu(&srat, 1000), 0);
	assert_int_equal(srat_node_of_cpu(&srat, 3), 0); /* not named */
	assert_int_equal(node_map_find(&srat.map, 0), 0);
	assert_int_equal(node_map_find(&srat.map, GIB - 1), 0);
	assert_int_equal(node_map_find(&srat.map, GIB), 1);
	assert_int_equal(node_map_find(&srat.map, 2 * GIB - 1), 1);
	assert_int_equal(node_map_find(&srat.map, 2 * GIB), 0);
	assert_int_equal(node_map_find(&srat.map, 9 * GIB), 0); /* not named */
}

/* The local APIC's domain has 24 bits more of its own: this one needs them. */
static void test_usual(void **state)
{
	(void)state;
	put_usual();
	parse();
	check_usual();
}

static void test_what_is_not_enabled_does_not_count(void **state)
{
	(void)state;
	put_usual();
	put(add_memory(3, 0, 9 * GIB) + 28, 2, 4);
	add_lapic(4, 0);
	put(table_size - 16 + 4, 0, 4);
	add_x2apic(4, 0);
	put(table_size - 24 + 12, 0, 4);
	add_entry(3, 20); /* of another architecture */
	add_entry(200, 2);
	add_memory(5, 4 * GIB, 0);
	parse();
	check_usual();
}

/* Before revision 2 a domain has 8 bits, and anything may be in the other bytes. */
static void test_old_revision(void **state)
{
	(void)state;
	table[8] = 1;
	add_lapic(0xabcd01, 0);
	add_lapic(0x123402, 1);
	add_memory(0x55555501, 0, GIB);
	add_memory(0x66666602, GIB, GIB);
	parse();
	assert_null(srat.fault);
	assert_int_equal(srat.map.count, 2);
	assert_int_equal(srat_node_of_cpu(&srat, 1), 1);
	assert_int_equal(node_map_find(&srat.map, GIB), 1);
}

static void test_without_memory_there_is_one_node(void **state)
{
	(void)state;
	add_lapic(1, 0);
	add_lapic(2, 1);
	parse();
	assert_null(srat.fault);
	assert_one_node();
}

static void test_overlaps(void **state)
{
	(void)state;
	put_usual();
	add_memory(BIG, GIB + 5, 7); /* of the same domain: nothing new */
	add_x2apic(BIG, 1);
	parse();
	check_usual();
	add_memory(7, 2 * GIB - 1, 1);
	assert_fault("memory is in two domains");

	setup(NULL);
	put_usual();
	add_memory(9, 0, 100 * GIB);
	assert_fault("memory is in two domains");

	setup(NULL);
	put_usual();
	add_x2apic(BIG, 0);
	assert_fault("a CPU is in two domains");
}

static void test_ranges_that_wrap(void **state)
{
	(void)state;
	put_usual();
	add_memory(7, UINT64_MAX - 5, 100);
	assert_fault("a memory range goes beyond the last address");
}

static void test_too_many(void **state)
{
	(void)state;
	for (uint32_t i = 0; i <= NODES_MAX; i++)
		add_memory(i * 1000, i * GIB, GIB);
	assert_fault("it has too many proximity domains");

	setup(NULL);
	add_memory(0, 0, GIB);
	for (uint32_t i = 0; i < NODES_MAX; i++)
		add_lapic(i + 1, (uint8_t)i);
	assert_fault("it has too many proximity domains");

	setup(NULL);
	for (uint32_t i = 0; i <= NODES_MAX_RANGES; i++)
		add_memory(i % 2, i * GIB, GIB);
	assert_fault("it has too many memory ranges");

	setup(NULL);
	add_memory(0, 0, GIB);
	add_memory(1, GIB, GIB);
	for (uint32_t i = 0; i < SRAT_MAX_CPUS + 3; i++)
		add_x2apic(1, 100 + i);
	parse();
	assert_null(srat.fault);
	assert_int_equal(srat_node_of_cpu(&srat, 100 + SRAT_MAX_CPUS - 1), 1);
	assert_int_equal(srat_node_of_cpu(&srat, 100 + SRAT_MAX_CPUS), 0);
}

static void test_bad_lengths(void **state)
{
	static const uint8_t sizes[] = {16, 40, 24};

	(void)state;
	for (uint8_t type = 0; type < sizeof(sizes); type++) {
		setup(NULL);
		put_usual();
		add_entry(type, sizes[type] - 1);
		assert_fault("an entry is too short");
	}
	for (uint8_t size = 0; size < 2; size++) {
		setup(NULL);
		put_usual();
		table[table_size + 1] = size;
		table_size += 2;
		assert_fault("an entry's length is wrong");
	}
	setup(NULL);
	put_usual();
	table[add_entry(9, 4) + 1] = 5;
	assert_fault("an entry's length is wrong");
}

/* A table that ends anywhere is bad, but between two entries. */
static void test_every_truncation(void **state)
{
	(void)state;
	put_usual();
	for (size_t size = 0; size < table_size; size++) {
		bool between = size == 48 || size == 64 || size == 80 || size == 104 ||
			       size == 144 || size == 184;

		parse_size(size);
		assert_int_equal(srat.fault == NULL, between);
		if (!between)
			assert_one_node();
	}
}

/* Whatever the bytes: a map that can be used. */
static void test_random_changes(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned int round = 0; round < 20000; round++) {
		setup(NULL);
		put_usual();
		for (unsigned int i = 0; i < 1 + round % 3; i++) {
			seed = seed * 1103515245u + 12345u;
			table[HEADER + (seed >> 16) % (table_size - HEADER)] = (uint8_t)(seed >> 8);
		}
		parse();
		assert_in_range(srat.map.count, 1, NODES_MAX);
		for (uint32_t i = 0; i < srat.map.range_count; i++) {
			assert_true(srat.map.ranges[i].base < srat.map.ranges[i].end);
			assert_true(srat.map.ranges[i].node < srat.map.count);
		}
		assert_true(srat_node_of_cpu(&srat, 1000) < srat.map.count);
		assert_true(srat.fault == NULL || srat.map.count == 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_usual, setup),
		cmocka_unit_test_setup(test_what_is_not_enabled_does_not_count, setup),
		cmocka_unit_test_setup(test_old_revision, setup),
		cmocka_unit_test_setup(test_without_memory_there_is_one_node, setup),
		cmocka_unit_test_setup(test_overlaps, setup),
		cmocka_unit_test_setup(test_ranges_that_wrap, setup),
		cmocka_unit_test_setup(test_too_many, setup),
		cmocka_unit_test_setup(test_bad_lengths, setup),
		cmocka_unit_test_setup(test_every_truncation, setup),
		cmocka_unit_test_setup(test_random_changes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

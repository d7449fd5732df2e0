/* SPDX-License-Identifier: BSD-2-Clause */
/* arch/x86_64/cpu/memmap.c: which RAM is free, against a page-by-page reckoning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/cpu/memmap.h"

/* A small machine: everything happens in its first PAGES pages. */
#define PAGES 1024u

static struct boot_info boot;
static uint8_t given[PAGES]; /* how often each page was handed out */
static int calls_until_error;

static int take(hpa_t base, uint64_t size)
{
	assert_true(size > 0);
	assert_true(base + size <= PAGES * PAGE_SIZE);
	assert_true(IS_ALIGNED(base | size, PAGE_SIZE));
	for (uint64_t page = base / PAGE_SIZE; page < (base + size) / PAGE_SIZE; page++)
		given[page]++;
	return calls_until_error && --calls_until_error == 0 ? -1 : 0;
}

static void add_range(uint64_t first, uint64_t pages, enum boot_memory_kind kind)
{
	boot.ranges[boot.range_count++] = (struct boot_range){
		.base = first * PAGE_SIZE, .size = pages * PAGE_SIZE, .kind = kind};
}

static void add_module(uint64_t first, uint64_t pages)
{
	struct boot_module *module = &boot.modules[boot.module_count++];

	module->base = first * PAGE_SIZE;
	module->size = pages * PAGE_SIZE;
}

static int setup(void **state)
{
	(void)state;
	memset(&boot, 0, sizeof(boot));
	memset(given, 0, sizeof(given));
	calls_until_error = 0;
	return 0;
}

static uint64_t random_below(uint64_t limit)
{
	return (uint64_t)rand() % limit;
}

static bool covered(uint64_t page, hpa_t base, uint64_t size)
{
	return page * PAGE_SIZE >= base && page * PAGE_SIZE < base + size;
}

static bool is_kind(uint64_t page, enum boot_memory_kind kind)
{
	for (uint32_t i = 0; i < boot.range_count; i++)
		if (boot.ranges[i].kind == kind &&
		    covered(page, boot.ranges[i].base, boot.ranges[i].size))
			return true;
	return false;
}

static bool is_free(uint64_t page, hpa_t image, uint64_t image_size, hpa_t from, hpa_t to)
{
	if (page * PAGE_SIZE < MIB || page * PAGE_SIZE < from || page * PAGE_SIZE >= to)
		return false;
	if (covered(page, image, image_size) || covered(page, boot.info_base, boot.info_size))
		return false;
	for (uint32_t i = 0; i < boot.module_count; i++)
		if (covered(page, boot.modules[i].base, boot.modules[i].size))
			return false;
	return is_kind(page, BOOT_MEMORY_RAM) && !is_kind(page, BOOT_MEMORY_OTHER);
}

static void check(hpa_t image, uint64_t image_size, hpa_t from, hpa_t to)
{
	memset(given, 0, sizeof(given));
	assert_int_equal(memmap_for_each_free(&boot, image, image_size, from, to, take), 0);
	for (uint64_t page = 0; page < PAGES; page++)
		assert_int_equal(given[page], is_free(page, image, image_size, from, to));

	memset(given, 0, sizeof(given));
	assert_int_equal(memmap_for_each_ram(&boot, take), 0);
	for (uint64_t page = 0; page < PAGES; page++)
		assert_int_equal(given[page], is_kind(page, BOOT_MEMORY_RAM));
}

static void test_plain_machine(void **state)
{
	(void)state;
	add_range(0, 0x9f, BOOT_MEMORY_RAM);
	add_range(0x9f, 0x61, BOOT_MEMORY_OTHER);
	add_range(0x100, PAGES - 0x100, BOOT_MEMORY_RAM);
	add_module(0x280, 3);
	add_module(0x283, 0x10);
	boot.info_base = 0x110 * PAGE_SIZE;
	boot.info_size = PAGE_SIZE;
	check(0x200 * PAGE_SIZE, 0x30 * PAGE_SIZE, 0, UINT64_MAX);
	check(0x200 * PAGE_SIZE, 0x30 * PAGE_SIZE, 0, 0x300 * PAGE_SIZE);
	check(0x200 * PAGE_SIZE, 0x30 * PAGE_SIZE, 0x300 * PAGE_SIZE, UINT64_MAX);
}

static void test_random_maps(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 3000; round++) {
		hpa_t image = random_below(PAGES) * PAGE_SIZE;
		uint64_t image_size = random_below(64) * PAGE_SIZE;

		setup(NULL);
		for (int i = rand() % 8; i >= 0; i--) {
			uint64_t first = random_below(PAGES);
			uint64_t pages = random_below(PAGES - first) + 1;

			add_range(first, pages, rand() % 3 ? BOOT_MEMORY_RAM : BOOT_MEMORY_OTHER);
		}
		for (int i = rand() % 4; i > 0; i--)
			add_module(random_below(PAGES), random_below(40));
		boot.info_base = random_below(PAGES) * PAGE_SIZE;
		boot.info_size = PAGE_SIZE;
		check(image, image_size, random_below(PAGES) * PAGE_SIZE, UINT64_MAX);
	}
}

static int take_any(hpa_t base, uint64_t size)
{
	assert_true(base + size >= base);
	return 0;
}

static void test_ranges_that_wrap(void **state)
{
	(void)state;
	boot.ranges[0] = (struct boot_range){UINT64_MAX - 10, 4096, BOOT_MEMORY_RAM};
	boot.ranges[1] = (struct boot_range){4096, UINT64_MAX, BOOT_MEMORY_RAM};
	boot.range_count = 2;
	assert_int_equal(memmap_for_each_free(&boot, 0, 0, 0, UINT64_MAX, take_any), 0);
	assert_int_equal(memmap_for_each_ram(&boot, take_any), 0);
}

static void test_an_error_ends_it(void **state)
{
	(void)state;
	add_range(0x100, 1, BOOT_MEMORY_RAM);
	add_range(0x102, 1, BOOT_MEMORY_RAM);
	add_range(0x104, 1, BOOT_MEMORY_RAM);
	calls_until_error = 2;
	assert_int_equal(memmap_for_each_ram(&boot, take), -1);
	assert_int_equal(given[0x102], 1);
	assert_int_equal(given[0x104], 0);
}

static void test_low_page(void **state)
{
	(void)state;
	assert_int_equal(memmap_find_low_page(&boot), 0);

	add_range(0, 0x9f, BOOT_MEMORY_RAM);
	assert_int_equal(memmap_find_low_page(&boot), 0x9e000);
	add_module(0x9e, 1);
	assert_int_equal(memmap_find_low_page(&boot), 0x9d000);
	boot.info_base = 0x9dff8;
	boot.info_size = 0x10;
	assert_int_equal(memmap_find_low_page(&boot), 0x9c000);
	add_range(0x10, 0x8d, BOOT_MEMORY_OTHER);
	assert_int_equal(memmap_find_low_page(&boot), 0xf000);
}

static void test_low_page_is_never_page_0(void **state)
{
	(void)state;
	add_range(0, 1, BOOT_MEMORY_RAM);
	assert_int_equal(memmap_find_low_page(&boot), 0);
}

static void test_low_page_is_whole(void **state)
{
	(void)state;
	boot.ranges[0] = (struct boot_range){0, 0x9fc00, BOOT_MEMORY_RAM};
	boot.range_count = 1;
	assert_int_equal(memmap_find_low_page(&boot), 0x9e000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_plain_machine, setup),
		cmocka_unit_test_setup(test_random_maps, setup),
		cmocka_unit_test_setup(test_ranges_that_wrap, setup),
		cmocka_unit_test_setup(test_an_error_ends_it, setup),
		cmocka_unit_test_setup(test_low_page, setup),
		cmocka_unit_test_setup(test_low_page_is_never_page_0, setup),
		cmocka_unit_test_setup(test_low_page_is_whole, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which I/O APIC a host's interrupt goes by, and which go by none. The registers are memory: what
 * was written last stands in them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "arch/x86_64/cpu/ioapic.h"
#include "arch/x86_64/cpu/paging.h"
#include "core/errno.h"

#define VECTOR	  0xe2
#define PINS_24	  (23u << 16)
#define UNTOUCHED 77u

enum { SELECT = 0, WINDOW = 4 }; /* words */

static uint32_t registers[3][8];
static bool can_map;

/* At address 1000, 2000, ... */
void *paging_map_mmio(hpa_t pa, size_t size)
{
	assert_true(size >= sizeof(registers[0]));
	return can_map ? registers[pa / 1000 - 1] : NULL;
}

/* Two of 24 pins, the later ones first, and one of 4. */
static struct acpi_info acpi;

static int setup(void **state)
{
	(void)state;
	acpi = (struct acpi_info){
		.ioapic_count = 3,
		.ioapics = {{.base = 1000, .gsi = 24},
			    {.base = 2000, .gsi = 0},
			    {.base = 3000, .gsi = 48}},
	};
	for (int i = 0; i < 3; i++) {
		registers[i][SELECT] = UNTOUCHED;
		registers[i][WINDOW] = i < 2 ? PINS_24 : 3u << 16;
	}
	can_map = true;
	return 0;
}

static int route(uint32_t gsi, uint16_t flags, uint32_t apic_id)
{
	const struct acpi_interrupt irq = {.gsi = gsi, .flags = flags};

	return ioapic_route(&acpi, &irq, VECTOR, apic_id);
}

static void test_routed(void **state)
{
	static const uint16_t edges[] = {0, 1, 4, 5};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
		setup(NULL);
		assert_int_equal(route(4, edges[i], 0), 0);
		assert_int_equal(registers[1][SELECT], 0x10 + 2 * 4);
		assert_int_equal(registers[1][WINDOW], VECTOR);
		assert_int_equal(registers[0][SELECT], UNTOUCHED);
	}
	setup(NULL);
	assert_int_equal(route(47, 3, 254), 0);
	assert_int_equal(registers[0][SELECT], 0x10 + 2 * 23);
	assert_int_equal(registers[0][WINDOW], VECTOR | BIT(13)); /* active low */
}

static void test_not_routed(void **state)
{
	(void)state;
	assert_int_equal(route(4, 0x0c, 0), -ENODEV); /* level */
	assert_int_equal(route(4, 0x0f, 0), -ENODEV);
	assert_int_equal(route(4, 0, 255), -ENODEV); /* would be all CPUs */
	can_map = false;
	assert_int_equal(route(4, 0, 0), -ENOMEM);
	assert_int_equal(registers[1][SELECT], UNTOUCHED);
	can_map = true;
	assert_int_equal(route(52, 0, 0), -ENODEV); /* behind the last pin: looked at only */
	assert_int_equal(registers[2][SELECT], 1);
	acpi.ioapic_count = 1;
	assert_int_equal(route(4, 0, 0), -ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_routed, setup),
		cmocka_unit_test_setup(test_not_routed, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/dev/power.h"
#include "tests/unit/dev_host.h"

#define SLEEP_ENABLE	 0x20
#define SLEEP_TYPE(type) ((uint8_t)((type) << 2))

static int setup(void **state)
{
	(void)state;
	host_reset();
	return 0;
}

static void test_soft_off(void **state)
{
	(void)state;
	power_write(&host_vm, POWER_PORT_SLEEP_CONTROL, SLEEP_TYPE(5) | SLEEP_ENABLE);
	assert_int_equal(host.stops, 1);
	assert_string_equal(host.stop_reason, "power-off");
	assert_int_equal(host.end, VM_END_OFF);
}

static void test_sleep_needs_type_and_enable(void **state)
{
	(void)state;
	for (unsigned int value = 0; value < 256; value++) {
		if ((value & SLEEP_ENABLE) && (value >> 2 & 7) == 5)
			continue;
		power_write(&host_vm, POWER_PORT_SLEEP_CONTROL, (uint8_t)value);
		assert_int_equal(host.stops, 0);
		/* SLP_EN is write-only, reserved bits read as zero. */
		assert_int_equal(power_read(&host_vm, POWER_PORT_SLEEP_CONTROL), value & 0x1c);
	}
}

static void test_sleep_status_has_no_wake(void **state)
{
	(void)state;
	power_write(&host_vm, POWER_PORT_SLEEP_STATUS, 0xff);
	assert_int_equal(power_read(&host_vm, POWER_PORT_SLEEP_STATUS), 0);
	assert_int_equal(host.stops, 0);
}

static void check_reset(uint16_t port, uint8_t wrong, uint8_t right)
{
	host_reset();
	power_write(&host_vm, port, wrong);
	assert_int_equal(host.stops, 0);
	power_write(&host_vm, port, right);
	assert_int_equal(host.stops, 1);
	assert_string_equal(host.stop_reason, "reset");
	assert_int_equal(host.end, VM_END_RESET);
}

static void test_reset(void **state)
{
	(void)state;
	check_reset(POWER_PORT_RESET, 0, POWER_RESET_VALUE);
	check_reset(POWER_PORT_KEYBOARD, 0xd1, 0xfe);
	/* Linux first writes the kind of reset, then triggers it. */
	check_reset(POWER_PORT_CHIPSET, 0x02, 0x06);
	check_reset(POWER_PORT_CHIPSET, 0x0a, 0x0e);
}

static void test_no_keyboard_controller(void **state)
{
	(void)state;
	assert_int_equal(power_read(&host_vm, POWER_PORT_KEYBOARD), 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_soft_off, setup),
		cmocka_unit_test_setup(test_sleep_needs_type_and_enable, setup),
		cmocka_unit_test_setup(test_sleep_status_has_no_wake, setup),
		cmocka_unit_test_setup(test_reset, setup),
		cmocka_unit_test_setup(test_no_keyboard_controller, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Direct mode: the processor delivers out of a page, which the local APIC fills. The test plays the
 * processor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/lapic_host.h"

static uint32_t *word(uint32_t set, uint32_t vector)
{
	return &host_apic_page[(set + vector / 32 * 16) / sizeof(uint32_t)];
}

static bool has(uint32_t set, uint32_t vector)
{
	return *word(set, vector) & 1u << vector % 32;
}

/* What the processor does: IRR to ISR, and at the end out of it. */
static void deliver(uint32_t vector)
{
	assert_true(has(IRR, vector));
	*word(IRR, vector) &= ~(1u << vector % 32);
	*word(ISR, vector) |= 1u << vector % 32;
}

static void end(uint32_t vector)
{
	assert_true(has(ISR, vector));
	*word(ISR, vector) &= ~(1u << vector % 32);
}

static int setup(void **state)
{
	int err = lapic_host_setup(state);

	memset(host_apic_page, 0xee, sizeof(host_apic_page));
	host.direct = true;
	return err;
}

static void expect_status(uint16_t expected)
{
	uint16_t status = 0;

	assert_true(lapic_update_page(&CPU->lapic, &status));
	assert_int_equal(status, expected);
	assert_false(lapic_update_page(&CPU->lapic, &status)); /* told once */
}

static void test_xapic_mode_is_ours(void **state)
{
	(void)state;
	assert_null(CPU->lapic.page);
	host.direct = false;
	enter_x2apic();
	assert_null(CPU->lapic.page); /* the processor cannot */
	lapic_raise(CPU, 0x40, false);
	assert_true(take(0x40));
}

/* What is pending, served, and the task's priority at the switch. */
static void test_switch_takes_all_along(void **state)
{
	(void)state;
	lapic_raise(CPU, 0x60, false);
	lapic_accept(CPU, 0x60);
	lapic_raise(CPU, 0x51, false);
	out(TPR, 0x20);
	enter_x2apic();
	assert_ptr_equal(CPU->lapic.page, host_apic_page);
	expect_status(0x6051);
	assert_int_equal(*word(TPR, 0), 0x20);
	assert_true(has(ISR, 0x60));
	assert_true(has(IRR, 0x51));
	assert_false(has(IRR, 0x60));
	assert_int_equal(rdmsr(x2(PPR)), 0x60);
	assert_int_equal(lapic_pending(CPU), -1);
	end(0x60);
	assert_int_equal(lapic_pending(CPU), 0x51);
}

static void test_delivery(void **state)
{
	(void)state;
	enter_x2apic();
	expect_status(0);
	lapic_raise(CPU, 0x31, false);
	lapic_raise(CPU, 0xf0, false);
	assert_true(host.kicks >= 2);
	assert_int_equal(rdmsr(x2(IRR) + 1), 1u << 0x11); /* seen before it is in the page */
	expect_status(0x00f0);
	deliver(0xf0);
	assert_int_equal(lapic_pending(CPU), -1); /* its class is served */
	lapic_raise(CPU, 0xf1, false);
	assert_int_equal(lapic_pending(CPU), -1);
	expect_status(0xf0f1);
	end(0xf0);
	assert_int_equal(lapic_pending(CPU), 0xf1);
	deliver(0xf1);
	end(0xf1);
	assert_int_equal(lapic_pending(CPU), 0x31);
	assert_int_equal(lapic_set_cr8(CPU, 3), 0); /* by an exit */
	assert_int_equal(*word(TPR, 0), 0x30);
	assert_int_equal(lapic_pending(CPU), -1);
	assert_int_equal(wrmsr(x2(TPR), 0x2f), 0);
	assert_int_equal(lapic_get_cr8(&CPU->lapic), 2);
	assert_int_equal(lapic_pending(CPU), 0x31);
}

/* The processor tells of a level-triggered one's end; while its line is high it comes again. */
static void test_level(void **state)
{
	(void)state;
	enter_x2apic();
	host_vm.ioapic.redirection[5] = 0x8000 | 0x71;
	ioapic_set_line(&host_vm, 5, true);
	expect_status(0x71);
	assert_true(CPU->lapic.tmr[3] & 1u << 0x11);
	deliver(0x71);
	end(0x71);
	lapic_end_level(CPU, 0x71);
	expect_status(0x71);
	deliver(0x71);
	ioapic_set_line(&host_vm, 5, false);
	end(0x71);
	lapic_end_level(CPU, 0x71);
	assert_int_equal(lapic_pending(CPU), -1);
	assert_int_equal(host_vm.lock.next, host_vm.lock.serving);
}

static void test_init_and_switching_off(void **state)
{
	(void)state;
	enter_x2apic();
	lapic_raise(CPU, 0x40, false);
	assert_int_equal(lapic_pending(CPU), 0x40);
	deliver(0x40);
	lapic_raise(CPU, 0x50, false);
	*word(TPR, 0) = 0x30;
	lapic_obey_init(&CPU->lapic); /* the mode stays */
	assert_ptr_equal(CPU->lapic.page, host_apic_page);
	assert_int_equal(*word(TPR, 0), 0);
	assert_false(has(ISR, 0x40));
	assert_int_equal(lapic_pending(CPU), -1);
	expect_status(0);

	assert_int_equal(wrmsr(APIC_BASE, VM_LAPIC_BASE | BASE_BSP), 0);
	assert_null(CPU->lapic.page);
	assert_int_equal(host.indirects, 1);
	assert_int_equal(wrmsr(APIC_BASE, VM_LAPIC_BASE | BASE_BSP | BASE_ENABLE), 0);
	assert_int_equal(in(TPR), 0);
	out(SVR, 0x1ff);
	lapic_raise(CPU, 0x40, false);
	assert_true(take(0x40));
	enter_x2apic(); /* and again */
	assert_ptr_equal(CPU->lapic.page, host_apic_page);
	expect_status(0);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(xapic_mode_is_ours),
		TEST(switch_takes_all_along),
		TEST(delivery),
		TEST(level),
		TEST(init_and_switching_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/dev/lapic.h"
#include "core/errno.h"
#include "core/time.h"
#include "tests/unit/lapic_host.h"

static void test_power_on(void **state)
{
	(void)state;
	host_reset();
	assert_int_equal(rdmsr(APIC_BASE), VM_LAPIC_BASE | BASE_BSP | BASE_ENABLE);
	assert_int_equal(in(ID), 0);
	assert_int_equal(in(VERSION), 0x50014);
	assert_int_equal(in(SVR), 0xff);
	assert_int_equal(in(DFR), 0xffffffff);
	assert_int_equal(in(LDR), 0);
	for (uint32_t lvt = TIMER; lvt <= ERROR; lvt += 0x10)
		assert_int_equal(in(lvt), MASKED);
	assert_int_equal(lapic_pending(CPU), -1);
	assert_int_equal(CPU->lapic.timer_deadline, TIME_NEVER);
	assert_int_equal(CPU->lapic.signals, 0);

	lapic_reset(&CPU->lapic, 5);
	assert_int_equal(rdmsr(APIC_BASE), VM_LAPIC_BASE | BASE_ENABLE);
	assert_int_equal(in(ID), 5u << 24);
}

/* Every switch of mode: off, invalid, xAPIC, x2APIC. */
static void test_modes(void **state)
{
	static const int result[4][4] = {
		{0, -EINVAL, 0, -EINVAL},
		{0}, /* never gets there */
		{0, -EINVAL, 0, 0},
		{0, -EINVAL, -EINVAL, 0},
	};

	(void)state;
	for (uint64_t from = 0; from < 4; from++) {
		for (uint64_t to = 0; to < 4; to++) {
			uint64_t base = VM_LAPIC_BASE | BASE_BSP;

			if (from == 1)
				continue;
			host_reset();
			if (from == 3)
				assert_int_equal(wrmsr(APIC_BASE, base | 3 << 10), 0);
			if (from == 0)
				assert_int_equal(wrmsr(APIC_BASE, base), 0);
			assert_int_equal(wrmsr(APIC_BASE, base | to << 10), result[from][to]);
			assert_int_equal(rdmsr(APIC_BASE), base | (result[from][to] ? from : to)
									   << 10);
		}
	}
}

static void test_base_is_fixed(void **state)
{
	uint64_t base = VM_LAPIC_BASE | BASE_BSP | BASE_ENABLE;

	(void)state;
	assert_int_equal(wrmsr(APIC_BASE, base + 0x1000), -EINVAL);
	assert_int_equal(wrmsr(APIC_BASE, base | 1), -EINVAL);
	assert_int_equal(wrmsr(APIC_BASE, base | 1ull << 63), -EINVAL);
	assert_int_equal(wrmsr(APIC_BASE, base & ~(uint64_t)BASE_BSP), 0);
	assert_int_equal(rdmsr(APIC_BASE), base); /* the first vCPU stays the first */
}

static void test_views_follow_the_mode(void **state)
{
	uint32_t value;

	(void)state;
	check_gp_read(x2(ID));
	assert_int_equal(wrmsr(x2(TPR), 0), -EINVAL);
	out(TPR, 0x20);
	enter_x2apic();
	assert_int_equal(rdmsr(x2(TPR)), 0x20); /* one state behind both */
	assert_int_equal(rdmsr(x2(SVR)), 0x1ff);
	assert_int_equal(lapic_mmio_read(CPU, TPR, &value), -ENODEV);
	assert_int_equal(lapic_mmio_write(CPU, TPR, 0), -ENODEV);
	assert_int_equal(wrmsr(APIC_BASE, VM_LAPIC_BASE), 0);
	check_gp_read(x2(TPR));
	assert_int_equal(lapic_mmio_read(CPU, TPR, &value), -ENODEV);
	assert_int_equal(wrmsr(APIC_BASE, VM_LAPIC_BASE | BASE_ENABLE), 0);
	assert_int_equal(in(TPR), 0); /* switching off forgot everything */
	assert_int_equal(in(SVR), 0xff);
}

static void test_switched_off_takes_nothing(void **state)
{
	(void)state;
	assert_true(lapic_raise(CPU, 0x30, false));
	assert_int_equal(wrmsr(APIC_BASE, VM_LAPIC_BASE), 0);
	assert_int_equal(lapic_pending(CPU), -1);
	assert_false(lapic_raise(CPU, 0x30, false));
	host_reset(); /* software-disabled */
	assert_false(lapic_raise(CPU, 0x30, false));
	assert_int_equal(lapic_pending(CPU), -1);
}

static void test_x2apic_register_access(void **state)
{
	static const uint8_t read_write[] = {0x08, 0x0f, 0x30, 0x32, 0x33, 0x34,
					     0x35, 0x36, 0x37, 0x38, 0x3e};
	static const uint8_t read_only[] = {0x02, 0x03, 0x0a, 0x0d, 0x39};

	(void)state;
	enter_x2apic();
	for (uint32_t reg = 0; reg < 0x100; reg++) {
		bool readable = (reg >= 0x10 && reg < 0x28) || reg == 0x28;
		bool writable = reg == 0x28 || reg == 0x0b || reg == 0x3f;
		uint64_t value;

		if (memchr(read_write, (int)reg, sizeof(read_write)))
			readable = writable = true;
		if (memchr(read_only, (int)reg, sizeof(read_only)))
			readable = true;
		assert_int_equal(lapic_msr_read(CPU, X2APIC + reg, &value), readable ? 0 : -EINVAL);
		assert_int_equal(wrmsr(X2APIC + reg, 0), writable ? 0 : -EINVAL);
		/* Only ICR has more than 32 bits. */
		assert_int_equal(wrmsr(X2APIC + reg, 1ull << 32), reg == 0x30 ? 0 : -EINVAL);
	}
	check_gp_read(X2APIC - 1);
	check_gp_read(0x900);
}

static void test_x2apic_reserved_bits(void **state)
{
	static const struct {
		uint32_t reg;
		uint32_t valid;
	} cases[] = {
		{TPR, 0xff},	  {EOI, 0},	    {SVR, 0x1ff},     {ESR, 0},
		{TIMER, 0x710ff}, {0x330, 0x117ff}, {0x340, 0x117ff}, {LINT0, 0x1f7ff},
		{ERROR, 0x110ff}, {DIVIDE, 0xb},    {SELF_IPI, 0xff}, {INITIAL, 0xffffffff},
		{ICR, 0xcdfff},
	};

	(void)state;
	enter_x2apic();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned int bit = 0; bit < 32; bit++) {
			bool valid = cases[i].valid & 1u << bit;

			assert_int_equal(wrmsr(x2(cases[i].reg), 1u << bit), valid ? 0 : -EINVAL);
		}
	}
}

static void test_xapic_ignores_what_it_may_not_write(void **state)
{
	(void)state;
	out(ID, 0xff000000);
	assert_int_equal(in(ID), 0);
	out(VERSION, 0);
	assert_int_equal(in(VERSION), 0x50014);
	out(TPR, 0xffffff35);
	assert_int_equal(in(TPR), 0x35);
	out(LDR, 0x12345678);
	assert_int_equal(in(LDR), 0x12000000);
	out(DFR, 0);
	assert_int_equal(in(DFR), 0x0fffffff);
	out(LINT0, 0xffffffff);
	assert_int_equal(in(LINT0), 0x1a7ff); /* delivery status and remote IRR are read-only */
	assert_int_equal(in(EOI), 0);
	out(TPR + 4, 0x50); /* between registers */
	assert_int_equal(in(TPR), 0x35);
	assert_int_equal(in(TPR + 4), 0);
	out(ESR, 0);
	assert_int_equal(in(ESR), 0);
	out(0x40, 1); /* not a register */
	out(ESR, 0);
	assert_int_equal(in(ESR), 0x80);
	assert_int_equal(in(0xff0), 0);
	out(ESR, 0);
	assert_int_equal(in(ESR), 0x80);
}

static void test_software_disable_masks_lvts(void **state)
{
	(void)state;
	out(TIMER, 0x30);
	assert_int_equal(in(TIMER), 0x30);
	out(SVR, 0xff);
	assert_int_equal(in(TIMER), 0x30 | MASKED);
	out(TIMER, 0x31);
	assert_int_equal(in(TIMER), 0x31 | MASKED);
	out(SVR, 0x1ff);
	assert_int_equal(in(TIMER), 0x31 | MASKED);
	out(TIMER, 0x31);
	assert_int_equal(in(TIMER), 0x31);
}

static void test_priorities(void **state)
{
	(void)state;
	lapic_raise(CPU, 0x41, false);
	lapic_raise(CPU, 0x52, false);
	assert_int_equal(host.kicks, 2);
	assert_int_equal(in(IRR + 0x20), 1u << 1 | 1u << 18);
	assert_int_equal(lapic_pending(CPU), 0x52);
	lapic_accept(CPU, 0x52);
	assert_int_equal(in(IRR + 0x20), 1u << 1);
	assert_int_equal(in(ISR + 0x20), 1u << 18);
	assert_int_equal(in(PPR), 0x50);
	assert_int_equal(lapic_pending(CPU), -1);
	lapic_raise(CPU, 0x5f, false); /* the same class waits */
	assert_int_equal(lapic_pending(CPU), -1);
	lapic_raise(CPU, 0x60, false); /* a higher one nests */
	assert_int_equal(lapic_pending(CPU), 0x60);
	lapic_accept(CPU, 0x60);
	out(EOI, 0);
	assert_int_equal(in(ISR + 0x20), 1u << 18);
	out(EOI, 0);
	assert_int_equal(lapic_pending(CPU), 0x5f);
	lapic_accept(CPU, 0x5f);
	out(EOI, 0);
	assert_int_equal(lapic_pending(CPU), 0x41);
	lapic_accept(CPU, 0x41);
	out(EOI, 0);
	out(EOI, 0); /* one too many */
	assert_int_equal(in(PPR), 0);
}

static void test_task_priority(void **state)
{
	(void)state;
	lapic_raise(CPU, 0x4f, false);
	out(TPR, 0x40);
	assert_int_equal(in(PPR), 0x40);
	assert_int_equal(lapic_pending(CPU), -1);
	assert_int_equal(lapic_get_cr8(&CPU->lapic), 4);
	assert_int_equal(lapic_set_cr8(CPU, 3), 0);
	assert_int_equal(in(TPR), 0x30);
	assert_int_equal(lapic_pending(CPU), 0x4f);
	assert_int_equal(lapic_set_cr8(CPU, 15), 0);
	assert_int_equal(in(TPR), 0xf0);
	assert_int_equal(lapic_set_cr8(CPU, 3), 0);
	assert_int_equal(lapic_set_cr8(CPU, 16), -EINVAL);
	assert_int_equal(lapic_set_cr8(CPU, UINT64_MAX), -EINVAL);
	assert_int_equal(in(TPR), 0x30);
	lapic_accept(CPU, 0x4f);
	out(TPR, 0x45); /* the same class as what is served: TPR is shown */
	assert_int_equal(in(PPR), 0x45);
}

static void test_extreme_vectors(void **state)
{
	(void)state;
	assert_true(lapic_raise(CPU, 16, false));
	assert_true(lapic_raise(CPU, 255, false));
	assert_int_equal(lapic_pending(CPU), 255);
	lapic_accept(CPU, 255);
	out(EOI, 0);
	assert_int_equal(lapic_pending(CPU), 16);
}

static void test_errors(void **state)
{
	(void)state;
	out(ERROR, 0x3e);
	assert_false(lapic_raise(CPU, 15, false));
	assert_int_equal(in(ESR), 0); /* shown after a write */
	assert_true(take(0x3e));
	out(ICR, 0x40000 | 5); /* to self, illegal vector */
	assert_true(take(0x3e));
	out(ESR, 0);
	assert_int_equal(in(ESR), 0x60);
	out(ESR, 0);
	assert_int_equal(in(ESR), 0);
	out(ICR, 0x40000 | 16); /* the first legal one */
	assert_true(take(16));
	out(ERROR, 16);
	lapic_raise(CPU, 3, false);
	assert_true(take(16));
	out(ERROR, 5); /* its own vector is illegal: no end of errors */
	lapic_raise(CPU, 0, false);
	assert_int_equal(lapic_pending(CPU), -1);
	out(ERROR, MASKED | 0x3e);
	lapic_raise(CPU, 0, false);
	assert_int_equal(lapic_pending(CPU), -1);
}

static void test_self_ipi(void **state)
{
	(void)state;
	enter_x2apic();
	assert_int_equal(wrmsr(x2(SELF_IPI), 0x44), 0);
	assert_int_equal(rdmsr(x2(TMR + 0x20)), 0);
	assert_true(take(0x44));
	assert_int_equal(wrmsr(x2(SELF_IPI), 0x04), 0);
	assert_int_equal(wrmsr(x2(ESR), 0), 0);
	assert_int_equal(rdmsr(x2(ESR)), 0x40);
}

static void test_level_interrupts_end_at_the_ioapic(void **state)
{
	(void)state;
	/* Pin 9: level, vector 0x55, to APIC 0. */
	ioapic_mmio_write(&host_vm, 0, 0x10 + 18);
	ioapic_mmio_write(&host_vm, 0x10, 0x8055);
	ioapic_set_line(&host_vm, 9, true);
	assert_int_equal(in(TMR + 0x20), 1u << 21);
	assert_true(take(0x55));
	assert_true(take(0x55)); /* the line is still high */
	ioapic_set_line(&host_vm, 9, false);
	take(0x55);
	assert_int_equal(lapic_pending(CPU), -1);
	assert_int_equal(host_vm.lock.next, host_vm.lock.serving);
	lapic_raise(CPU, 0x55, false); /* an edge with this vector: no broadcast */
	assert_int_equal(in(TMR + 0x20), 0);
}

/* Anything goes: no access by the guest may fail otherwise than with -EINVAL or -ENODEV. */
static void test_random_accesses(void **state)
{
	(void)state;
	srand(3);
	for (unsigned int i = 0; i < 500000; i++) {
		uint32_t reg = (uint32_t)rand() % 0x48, v = (uint32_t)rand() * 2u;
		uint64_t wide = (uint64_t)rand() << 33 | (uint64_t)rand();
		uint64_t value;
		uint32_t narrow;
		int vector;

		switch (rand() % 8) {
		case 0:
			lapic_mmio_read(CPU, reg * 16, &narrow);
			break;
		case 1:
			lapic_mmio_write(CPU, reg * 16, v);
			break;
		case 2:
			lapic_msr_read(CPU, X2APIC + reg, &value);
			break;
		case 3:
			lapic_msr_write(CPU, X2APIC + reg, rand() % 2 ? v : v & 0x1ff);
			break;
		case 4:
			lapic_msr_write(CPU, TSC_DEADLINE, wide);
			break;
		case 5:
			lapic_msr_write(CPU, APIC_BASE,
					VM_LAPIC_BASE |
						(uint64_t)(rand() % 32 == 0 ? 0 : rand() % 4)
							<< 10);
			break;
		case 6:
			pass((uint64_t)rand() % 100000);
			break;
		default:
			vector = lapic_pending(CPU);
			assert_in_range(vector + 1, 0, 256);
			if (vector >= 0) {
				assert_true(vector >= 16);
				lapic_accept(CPU, (uint8_t)vector);
			}
		}
		assert_int_equal(host_vm.lock.next, host_vm.lock.serving);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_power_on, lapic_host_setup),
		cmocka_unit_test_setup(test_modes, lapic_host_setup),
		cmocka_unit_test_setup(test_base_is_fixed, lapic_host_setup),
		cmocka_unit_test_setup(test_views_follow_the_mode, lapic_host_setup),
		cmocka_unit_test_setup(test_switched_off_takes_nothing, lapic_host_setup),
		cmocka_unit_test_setup(test_x2apic_register_access, lapic_host_setup),
		cmocka_unit_test_setup(test_x2apic_reserved_bits, lapic_host_setup),
		cmocka_unit_test_setup(test_xapic_ignores_what_it_may_not_write, lapic_host_setup),
		cmocka_unit_test_setup(test_software_disable_masks_lvts, lapic_host_setup),
		cmocka_unit_test_setup(test_priorities, lapic_host_setup),
		cmocka_unit_test_setup(test_task_priority, lapic_host_setup),
		cmocka_unit_test_setup(test_extreme_vectors, lapic_host_setup),
		cmocka_unit_test_setup(test_errors, lapic_host_setup),
		cmocka_unit_test_setup(test_self_ipi, lapic_host_setup),
		cmocka_unit_test_setup(test_level_interrupts_end_at_the_ioapic, lapic_host_setup),
		cmocka_unit_test_setup(test_random_accesses, lapic_host_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

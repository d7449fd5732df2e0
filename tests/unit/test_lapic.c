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
#include "tests/unit/dev_host.h"

#define APIC_BASE    0x1b
#define TSC_DEADLINE 0x6e0
#define X2APIC	     0x800

#define BASE_BSP    0x100u
#define BASE_X2APIC 0x400u
#define BASE_ENABLE 0x800u

/* MMIO offsets; the MSR is X2APIC + offset / 16. */
#define ID	 0x20
#define VERSION	 0x30
#define TPR	 0x80
#define PPR	 0xa0
#define EOI	 0xb0
#define LDR	 0xd0
#define DFR	 0xe0
#define SVR	 0xf0
#define ISR	 0x100
#define TMR	 0x180
#define IRR	 0x200
#define ESR	 0x280
#define ICR	 0x300
#define ICR_HIGH 0x310
#define TIMER	 0x320
#define LINT0	 0x350
#define ERROR	 0x370
#define INITIAL	 0x380
#define CURRENT	 0x390
#define DIVIDE	 0x3e0
#define SELF_IPI 0x3f0

#define MASKED	 0x10000u
#define PERIODIC 0x20000u
#define DEADLINE 0x40000u
#define DIVIDE_1 0xb

static struct vcpu *const cpu = &host_vcpus[0];

static uint32_t in(uint32_t offset)
{
	uint32_t value = 0xdeadbeef;

	assert_int_equal(lapic_mmio_read(cpu, offset, &value), 0);
	return value;
}

static void out(uint32_t offset, uint32_t value)
{
	assert_int_equal(lapic_mmio_write(cpu, offset, value), 0);
}

static int wrmsr(uint32_t msr, uint64_t value)
{
	return lapic_msr_write(cpu, msr, value);
}

static uint64_t rdmsr(uint32_t msr)
{
	uint64_t value = 0xdeadbeef;

	assert_int_equal(lapic_msr_read(cpu, msr, &value), 0);
	return value;
}

static uint32_t x2(uint32_t offset)
{
	return X2APIC + offset / 16;
}

static void enter_x2apic(void)
{
	assert_int_equal(wrmsr(APIC_BASE, VM_LAPIC_BASE | BASE_BSP | BASE_ENABLE | BASE_X2APIC), 0);
}

static void check_gp_read(uint32_t msr)
{
	uint64_t value;

	assert_int_equal(lapic_msr_read(cpu, msr, &value), -EINVAL);
}

/* In nanoseconds from now. */
static void pass(uint64_t ns)
{
	host.now += ns * HOST_TSC_KHZ / 1000000;
	lapic_poll_timer(cpu, host.now);
}

/* The timer's interrupt has come: takes and ends it. */
static bool take(uint8_t vector)
{
	if (lapic_pending(cpu) != vector)
		return false;
	lapic_accept(cpu, vector);
	if (rdmsr(APIC_BASE) & BASE_X2APIC)
		assert_int_equal(wrmsr(x2(EOI), 0), 0);
	else
		out(EOI, 0);
	return true;
}

static int setup(void **state)
{
	(void)state;
	host_reset();
	out(SVR, 0x1ff);
	return 0;
}

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
	assert_int_equal(lapic_pending(cpu), -1);
	assert_int_equal(cpu->lapic.timer_deadline, TIME_NEVER);
	assert_int_equal(cpu->lapic.sipi_vector, -1);

	lapic_reset(&cpu->lapic, 5);
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
	assert_int_equal(lapic_mmio_read(cpu, TPR, &value), -ENODEV);
	assert_int_equal(lapic_mmio_write(cpu, TPR, 0), -ENODEV);
	assert_int_equal(wrmsr(APIC_BASE, VM_LAPIC_BASE), 0);
	check_gp_read(x2(TPR));
	assert_int_equal(lapic_mmio_read(cpu, TPR, &value), -ENODEV);
	assert_int_equal(wrmsr(APIC_BASE, VM_LAPIC_BASE | BASE_ENABLE), 0);
	assert_int_equal(in(TPR), 0); /* switching off forgot everything */
	assert_int_equal(in(SVR), 0xff);
}

static void test_switched_off_takes_nothing(void **state)
{
	(void)state;
	assert_true(lapic_raise(cpu, 0x30, false));
	assert_int_equal(wrmsr(APIC_BASE, VM_LAPIC_BASE), 0);
	assert_int_equal(lapic_pending(cpu), -1);
	assert_false(lapic_raise(cpu, 0x30, false));
	host_reset(); /* software-disabled */
	assert_false(lapic_raise(cpu, 0x30, false));
	assert_int_equal(lapic_pending(cpu), -1);
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
		assert_int_equal(lapic_msr_read(cpu, X2APIC + reg, &value), readable ? 0 : -EINVAL);
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
	lapic_raise(cpu, 0x41, false);
	lapic_raise(cpu, 0x52, false);
	assert_int_equal(host.kicks, 2);
	assert_int_equal(in(IRR + 0x20), 1u << 1 | 1u << 18);
	assert_int_equal(lapic_pending(cpu), 0x52);
	lapic_accept(cpu, 0x52);
	assert_int_equal(in(IRR + 0x20), 1u << 1);
	assert_int_equal(in(ISR + 0x20), 1u << 18);
	assert_int_equal(in(PPR), 0x50);
	assert_int_equal(lapic_pending(cpu), -1);
	lapic_raise(cpu, 0x5f, false); /* the same class waits */
	assert_int_equal(lapic_pending(cpu), -1);
	lapic_raise(cpu, 0x60, false); /* a higher one nests */
	assert_int_equal(lapic_pending(cpu), 0x60);
	lapic_accept(cpu, 0x60);
	out(EOI, 0);
	assert_int_equal(in(ISR + 0x20), 1u << 18);
	out(EOI, 0);
	assert_int_equal(lapic_pending(cpu), 0x5f);
	lapic_accept(cpu, 0x5f);
	out(EOI, 0);
	assert_int_equal(lapic_pending(cpu), 0x41);
	lapic_accept(cpu, 0x41);
	out(EOI, 0);
	out(EOI, 0); /* one too many */
	assert_int_equal(in(PPR), 0);
}

static void test_task_priority(void **state)
{
	(void)state;
	lapic_raise(cpu, 0x4f, false);
	out(TPR, 0x40);
	assert_int_equal(in(PPR), 0x40);
	assert_int_equal(lapic_pending(cpu), -1);
	assert_int_equal(lapic_get_cr8(&cpu->lapic), 4);
	assert_int_equal(lapic_set_cr8(cpu, 3), 0);
	assert_int_equal(in(TPR), 0x30);
	assert_int_equal(lapic_pending(cpu), 0x4f);
	assert_int_equal(lapic_set_cr8(cpu, 15), 0);
	assert_int_equal(in(TPR), 0xf0);
	assert_int_equal(lapic_set_cr8(cpu, 3), 0);
	assert_int_equal(lapic_set_cr8(cpu, 16), -EINVAL);
	assert_int_equal(lapic_set_cr8(cpu, UINT64_MAX), -EINVAL);
	assert_int_equal(in(TPR), 0x30);
	lapic_accept(cpu, 0x4f);
	out(TPR, 0x45); /* the same class as what is served: TPR is shown */
	assert_int_equal(in(PPR), 0x45);
}

static void test_extreme_vectors(void **state)
{
	(void)state;
	assert_true(lapic_raise(cpu, 16, false));
	assert_true(lapic_raise(cpu, 255, false));
	assert_int_equal(lapic_pending(cpu), 255);
	lapic_accept(cpu, 255);
	out(EOI, 0);
	assert_int_equal(lapic_pending(cpu), 16);
}

static void test_errors(void **state)
{
	(void)state;
	out(ERROR, 0x3e);
	assert_false(lapic_raise(cpu, 15, false));
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
	lapic_raise(cpu, 3, false);
	assert_true(take(16));
	out(ERROR, 5); /* its own vector is illegal: no end of errors */
	lapic_raise(cpu, 0, false);
	assert_int_equal(lapic_pending(cpu), -1);
	out(ERROR, MASKED | 0x3e);
	lapic_raise(cpu, 0, false);
	assert_int_equal(lapic_pending(cpu), -1);
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
	assert_int_equal(lapic_pending(cpu), -1);
	assert_int_equal(host_vm.lock.next, host_vm.lock.serving);
	lapic_raise(cpu, 0x55, false); /* an edge with this vector: no broadcast */
	assert_int_equal(in(TMR + 0x20), 0);
}

static void test_one_shot(void **state)
{
	(void)state;
	out(DIVIDE, DIVIDE_1);
	out(TIMER, 0x30);
	out(INITIAL, 1000);
	assert_int_equal(in(CURRENT), 1000);
	pass(400);
	assert_int_equal(in(CURRENT), 600);
	assert_int_equal(lapic_pending(cpu), -1);
	pass(599);
	assert_int_equal(lapic_pending(cpu), -1);
	pass(1);
	assert_int_equal(in(TMR + 0x10), 0); /* an edge */
	assert_true(take(0x30));
	assert_int_equal(in(CURRENT), 0);
	assert_int_equal(in(INITIAL), 1000);
	assert_int_equal(cpu->lapic.timer_deadline, TIME_NEVER);
	pass(100000);
	assert_int_equal(lapic_pending(cpu), -1);
	out(INITIAL, 1000);
	out(INITIAL, 0); /* stops */
	pass(2000);
	assert_int_equal(lapic_pending(cpu), -1);
}

static void test_divide(void **state)
{
	static const uint32_t divisors[] = {2, 4, 8, 16, 32, 64, 128, 1};

	(void)state;
	out(TIMER, 0x30);
	for (uint32_t i = 0; i < 8; i++) {
		out(DIVIDE, (i & 4) << 1 | (i & 3));
		out(INITIAL, 1000);
		assert_int_equal(cpu->lapic.timer_deadline - host.now, 1000 * divisors[i]);
	}
	/* Half way, the rest goes on with another divisor. */
	out(DIVIDE, DIVIDE_1);
	out(INITIAL, 1000);
	pass(500);
	out(DIVIDE, 0);
	assert_int_equal(in(CURRENT), 500);
	pass(999);
	assert_int_equal(lapic_pending(cpu), -1);
	pass(1);
	assert_true(take(0x30));
	out(DIVIDE, DIVIDE_1); /* starts nothing */
	assert_int_equal(cpu->lapic.timer_deadline, TIME_NEVER);
	out(DIVIDE, 0xffffffff);
	assert_int_equal(in(DIVIDE), 0xb);
	/* The longest time there is. */
	out(DIVIDE, 0xa);
	out(INITIAL, UINT32_MAX);
	assert_int_equal(cpu->lapic.timer_deadline - host.now, 128ull * UINT32_MAX);
	assert_int_equal(in(CURRENT), UINT32_MAX);
}

/* The timer's clock has to have a frequency that CPUID can tell in 32 bits. */
static void test_fast_tsc(void **state)
{
	(void)state;
	tsc_khz = 4294967;
	assert_int_equal(lapic_clock_ratio(), 1);
	tsc_khz = 5000000;
	assert_int_equal(lapic_clock_ratio(), 2);
	out(DIVIDE, DIVIDE_1);
	out(TIMER, 0x30);
	out(INITIAL, 1000);
	assert_int_equal(cpu->lapic.timer_deadline - host.now, 2000);
	host.now += 500;
	assert_int_equal(in(CURRENT), 750);
}

static void test_periodic(void **state)
{
	(void)state;
	out(DIVIDE, DIVIDE_1);
	out(TIMER, 0x30 | PERIODIC);
	out(INITIAL, 1000000);
	for (int i = 0; i < 3; i++) {
		pass(999999);
		assert_int_equal(lapic_pending(cpu), -1);
		pass(1);
		assert_true(take(0x30));
	}
	pass(250000);
	assert_int_equal(in(CURRENT), 750000);
	pass(3000000); /* what was missed is one interrupt, and the beat is kept */
	assert_true(take(0x30));
	assert_int_equal(lapic_pending(cpu), -1);
	assert_int_equal(in(CURRENT), 750000);
	out(TIMER, 0x30); /* runs out as one-shot */
	pass(750000);
	assert_true(take(0x30));
	pass(1000000);
	assert_int_equal(lapic_pending(cpu), -1);
}

static void test_shortest_period(void **state)
{
	(void)state;
	out(DIVIDE, DIVIDE_1);
	out(TIMER, 0x30 | PERIODIC);
	out(INITIAL, 1);
	pass(1);
	assert_true(take(0x30));
	assert_true(cpu->lapic.timer_deadline - host.now >= time_ns_to_ticks(99 * NSEC_PER_USEC));
	assert_true(in(CURRENT) <= 1);
}

static void test_masked_timer(void **state)
{
	(void)state;
	out(DIVIDE, DIVIDE_1);
	out(TIMER, 0x30 | MASKED);
	out(INITIAL, 1000);
	pass(1000);
	assert_int_equal(lapic_pending(cpu), -1);
	out(TIMER, 0x30);
	pass(1000);
	assert_int_equal(lapic_pending(cpu), -1);
}

static void test_tsc_deadline(void **state)
{
	(void)state;
	cpu->arch.tsc_offset = -host.now;		/* the guest's TSC starts now */
	assert_int_equal(wrmsr(TSC_DEADLINE, 5000), 0); /* not in this mode: nothing happens */
	assert_int_equal(rdmsr(TSC_DEADLINE), 0);
	out(TIMER, 0x31 | DEADLINE);
	out(INITIAL, 1000); /* ignored in this mode */
	assert_int_equal(in(INITIAL), 0);
	assert_int_equal(cpu->lapic.timer_deadline, TIME_NEVER);
	wrmsr(TSC_DEADLINE, 5000);
	assert_int_equal(rdmsr(TSC_DEADLINE), 5000);
	assert_int_equal(cpu->lapic.timer_deadline, host.now + 5000);
	assert_int_equal(in(CURRENT), 0);
	host.now += 4999;
	lapic_poll_timer(cpu, host.now);
	assert_int_equal(lapic_pending(cpu), -1);
	host.now++;
	lapic_poll_timer(cpu, host.now);
	assert_true(take(0x31));
	assert_int_equal(rdmsr(TSC_DEADLINE), 0);
	assert_int_equal(cpu->lapic.timer_deadline, TIME_NEVER);

	wrmsr(TSC_DEADLINE, 1); /* in the past */
	lapic_poll_timer(cpu, host.now);
	assert_true(take(0x31));

	wrmsr(TSC_DEADLINE, 100000);
	wrmsr(TSC_DEADLINE, 0); /* disarms */
	assert_int_equal(cpu->lapic.timer_deadline, TIME_NEVER);

	wrmsr(TSC_DEADLINE, 100000);
	out(TIMER, 0x31); /* leaving the mode disarms */
	assert_int_equal(cpu->lapic.timer_deadline, TIME_NEVER);
	assert_int_equal(rdmsr(TSC_DEADLINE), 0);
}

static void test_tsc_deadline_does_not_overflow(void **state)
{
	(void)state;
	out(TIMER, 0x31 | DEADLINE);
	cpu->arch.tsc_offset = -host.now;
	wrmsr(TSC_DEADLINE, UINT64_MAX);
	assert_int_equal(cpu->lapic.timer_deadline, TIME_NEVER);
	assert_int_equal(rdmsr(TSC_DEADLINE), UINT64_MAX);
	lapic_poll_timer(cpu, host.now + 1);
	assert_int_equal(lapic_pending(cpu), -1);
	/* A guest whose TSC is far ahead. */
	cpu->arch.tsc_offset = UINT64_MAX / 2;
	wrmsr(TSC_DEADLINE, host.now + UINT64_MAX / 2 + 7);
	assert_int_equal(cpu->lapic.timer_deadline, host.now + 7);
	wrmsr(TSC_DEADLINE, 7);
	assert_int_equal(cpu->lapic.timer_deadline, host.now);
}

static void test_tsc_changed(void **state)
{
	(void)state;
	out(TIMER, 0x31 | DEADLINE);
	wrmsr(TSC_DEADLINE, host.now + 1000);
	cpu->arch.tsc_offset = 400;
	lapic_tsc_changed(cpu);
	assert_int_equal(cpu->lapic.timer_deadline, host.now + 600);
	wrmsr(TSC_DEADLINE, 0);
	lapic_tsc_changed(cpu);
	assert_int_equal(cpu->lapic.timer_deadline, TIME_NEVER);
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
			lapic_mmio_read(cpu, reg * 16, &narrow);
			break;
		case 1:
			lapic_mmio_write(cpu, reg * 16, v);
			break;
		case 2:
			lapic_msr_read(cpu, X2APIC + reg, &value);
			break;
		case 3:
			lapic_msr_write(cpu, X2APIC + reg, rand() % 2 ? v : v & 0x1ff);
			break;
		case 4:
			lapic_msr_write(cpu, TSC_DEADLINE, wide);
			break;
		case 5:
			lapic_msr_write(cpu, APIC_BASE,
					VM_LAPIC_BASE |
						(uint64_t)(rand() % 32 == 0 ? 0 : rand() % 4)
							<< 10);
			break;
		case 6:
			pass((uint64_t)rand() % 100000);
			break;
		default:
			vector = lapic_pending(cpu);
			assert_in_range(vector + 1, 0, 256);
			if (vector >= 0) {
				assert_true(vector >= 16);
				lapic_accept(cpu, (uint8_t)vector);
			}
		}
		assert_int_equal(host_vm.lock.next, host_vm.lock.serving);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_power_on, setup),
		cmocka_unit_test_setup(test_modes, setup),
		cmocka_unit_test_setup(test_base_is_fixed, setup),
		cmocka_unit_test_setup(test_views_follow_the_mode, setup),
		cmocka_unit_test_setup(test_switched_off_takes_nothing, setup),
		cmocka_unit_test_setup(test_x2apic_register_access, setup),
		cmocka_unit_test_setup(test_x2apic_reserved_bits, setup),
		cmocka_unit_test_setup(test_xapic_ignores_what_it_may_not_write, setup),
		cmocka_unit_test_setup(test_software_disable_masks_lvts, setup),
		cmocka_unit_test_setup(test_priorities, setup),
		cmocka_unit_test_setup(test_task_priority, setup),
		cmocka_unit_test_setup(test_extreme_vectors, setup),
		cmocka_unit_test_setup(test_errors, setup),
		cmocka_unit_test_setup(test_self_ipi, setup),
		cmocka_unit_test_setup(test_level_interrupts_end_at_the_ioapic, setup),
		cmocka_unit_test_setup(test_one_shot, setup),
		cmocka_unit_test_setup(test_divide, setup),
		cmocka_unit_test_setup(test_fast_tsc, setup),
		cmocka_unit_test_setup(test_periodic, setup),
		cmocka_unit_test_setup(test_shortest_period, setup),
		cmocka_unit_test_setup(test_masked_timer, setup),
		cmocka_unit_test_setup(test_tsc_deadline, setup),
		cmocka_unit_test_setup(test_tsc_deadline_does_not_overflow, setup),
		cmocka_unit_test_setup(test_tsc_changed, setup),
		cmocka_unit_test_setup(test_random_accesses, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

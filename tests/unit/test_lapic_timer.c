/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/time.h"
#include "tests/unit/lapic_host.h"

static void test_one_shot(void **state)
{
	(void)state;
	out(DIVIDE, DIVIDE_1);
	out(TIMER, 0x30);
	out(INITIAL, 1000);
	assert_int_equal(in(CURRENT), 1000);
	pass(400);
	assert_int_equal(in(CURRENT), 600);
	assert_int_equal(lapic_pending(CPU), -1);
	pass(599);
	assert_int_equal(lapic_pending(CPU), -1);
	pass(1);
	assert_int_equal(in(TMR + 0x10), 0); /* an edge */
	assert_true(take(0x30));
	assert_int_equal(in(CURRENT), 0);
	assert_int_equal(in(INITIAL), 1000);
	assert_int_equal(CPU->lapic.timer_deadline, TIME_NEVER);
	pass(100000);
	assert_int_equal(lapic_pending(CPU), -1);
	out(INITIAL, 1000);
	out(INITIAL, 0); /* stops */
	pass(2000);
	assert_int_equal(lapic_pending(CPU), -1);
}

static void test_divide(void **state)
{
	static const uint32_t divisors[] = {2, 4, 8, 16, 32, 64, 128, 1};

	(void)state;
	out(TIMER, 0x30);
	for (uint32_t i = 0; i < 8; i++) {
		out(DIVIDE, (i & 4) << 1 | (i & 3));
		out(INITIAL, 1000);
		assert_int_equal(CPU->lapic.timer_deadline - host.now, 1000 * divisors[i]);
	}
	/* Half way, the rest goes on with another divisor. */
	out(DIVIDE, DIVIDE_1);
	out(INITIAL, 1000);
	pass(500);
	out(DIVIDE, 0);
	assert_int_equal(in(CURRENT), 500);
	pass(999);
	assert_int_equal(lapic_pending(CPU), -1);
	pass(1);
	assert_true(take(0x30));
	out(DIVIDE, DIVIDE_1); /* starts nothing */
	assert_int_equal(CPU->lapic.timer_deadline, TIME_NEVER);
	out(DIVIDE, 0xffffffff);
	assert_int_equal(in(DIVIDE), 0xb);
	/* The longest time there is. */
	out(DIVIDE, 0xa);
	out(INITIAL, UINT32_MAX);
	assert_int_equal(CPU->lapic.timer_deadline - host.now, 128ull * UINT32_MAX);
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
	assert_int_equal(CPU->lapic.timer_deadline - host.now, 2000);
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
		assert_int_equal(lapic_pending(CPU), -1);
		pass(1);
		assert_true(take(0x30));
	}
	pass(250000);
	assert_int_equal(in(CURRENT), 750000);
	pass(3000000); /* what was missed is one interrupt, and the beat is kept */
	assert_true(take(0x30));
	assert_int_equal(lapic_pending(CPU), -1);
	assert_int_equal(in(CURRENT), 750000);
	out(TIMER, 0x30); /* runs out as one-shot */
	pass(750000);
	assert_true(take(0x30));
	pass(1000000);
	assert_int_equal(lapic_pending(CPU), -1);
}

static void test_shortest_period(void **state)
{
	(void)state;
	out(DIVIDE, DIVIDE_1);
	out(TIMER, 0x30 | PERIODIC);
	out(INITIAL, 1);
	pass(1);
	assert_true(take(0x30));
	assert_true(CPU->lapic.timer_deadline - host.now >= time_ns_to_ticks(99 * NSEC_PER_USEC));
	assert_true(in(CURRENT) <= 1);
}

static void test_masked_timer(void **state)
{
	(void)state;
	out(DIVIDE, DIVIDE_1);
	out(TIMER, 0x30 | MASKED);
	out(INITIAL, 1000);
	pass(1000);
	assert_int_equal(lapic_pending(CPU), -1);
	out(TIMER, 0x30);
	pass(1000);
	assert_int_equal(lapic_pending(CPU), -1);
}

static void test_tsc_deadline(void **state)
{
	(void)state;
	CPU->arch.tsc_offset = -host.now;		/* the guest's TSC starts now */
	assert_int_equal(wrmsr(TSC_DEADLINE, 5000), 0); /* not in this mode: nothing happens */
	assert_int_equal(rdmsr(TSC_DEADLINE), 0);
	out(TIMER, 0x31 | DEADLINE);
	out(INITIAL, 1000); /* ignored in this mode */
	assert_int_equal(in(INITIAL), 0);
	assert_int_equal(CPU->lapic.timer_deadline, TIME_NEVER);
	wrmsr(TSC_DEADLINE, 5000);
	assert_int_equal(rdmsr(TSC_DEADLINE), 5000);
	assert_int_equal(CPU->lapic.timer_deadline, host.now + 5000);
	assert_int_equal(in(CURRENT), 0);
	host.now += 4999;
	lapic_poll_timer(CPU, host.now);
	assert_int_equal(lapic_pending(CPU), -1);
	host.now++;
	lapic_poll_timer(CPU, host.now);
	assert_true(take(0x31));
	assert_int_equal(rdmsr(TSC_DEADLINE), 0);
	assert_int_equal(CPU->lapic.timer_deadline, TIME_NEVER);

	wrmsr(TSC_DEADLINE, 1); /* in the past */
	lapic_poll_timer(CPU, host.now);
	assert_true(take(0x31));

	wrmsr(TSC_DEADLINE, 100000);
	wrmsr(TSC_DEADLINE, 0); /* disarms */
	assert_int_equal(CPU->lapic.timer_deadline, TIME_NEVER);

	wrmsr(TSC_DEADLINE, 100000);
	out(TIMER, 0x31); /* leaving the mode disarms */
	assert_int_equal(CPU->lapic.timer_deadline, TIME_NEVER);
	assert_int_equal(rdmsr(TSC_DEADLINE), 0);
}

static void test_tsc_deadline_does_not_overflow(void **state)
{
	(void)state;
	out(TIMER, 0x31 | DEADLINE);
	CPU->arch.tsc_offset = -host.now;
	wrmsr(TSC_DEADLINE, UINT64_MAX);
	assert_int_equal(CPU->lapic.timer_deadline, TIME_NEVER);
	assert_int_equal(rdmsr(TSC_DEADLINE), UINT64_MAX);
	lapic_poll_timer(CPU, host.now + 1);
	assert_int_equal(lapic_pending(CPU), -1);
	/* A guest whose TSC is far ahead. */
	CPU->arch.tsc_offset = UINT64_MAX / 2;
	wrmsr(TSC_DEADLINE, host.now + UINT64_MAX / 2 + 7);
	assert_int_equal(CPU->lapic.timer_deadline, host.now + 7);
	wrmsr(TSC_DEADLINE, 7);
	assert_int_equal(CPU->lapic.timer_deadline, host.now);
}

static void test_tsc_changed(void **state)
{
	(void)state;
	out(TIMER, 0x31 | DEADLINE);
	wrmsr(TSC_DEADLINE, host.now + 1000);
	CPU->arch.tsc_offset = 400;
	lapic_tsc_changed(CPU);
	assert_int_equal(CPU->lapic.timer_deadline, host.now + 600);
	wrmsr(TSC_DEADLINE, 0);
	lapic_tsc_changed(CPU);
	assert_int_equal(CPU->lapic.timer_deadline, TIME_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_one_shot, lapic_host_setup),
		cmocka_unit_test_setup(test_divide, lapic_host_setup),
		cmocka_unit_test_setup(test_fast_tsc, lapic_host_setup),
		cmocka_unit_test_setup(test_periodic, lapic_host_setup),
		cmocka_unit_test_setup(test_shortest_period, lapic_host_setup),
		cmocka_unit_test_setup(test_masked_timer, lapic_host_setup),
		cmocka_unit_test_setup(test_tsc_deadline, lapic_host_setup),
		cmocka_unit_test_setup(test_tsc_deadline_does_not_overflow, lapic_host_setup),
		cmocka_unit_test_setup(test_tsc_changed, lapic_host_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

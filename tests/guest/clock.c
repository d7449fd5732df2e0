/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Its clocks, by the TSC they are computed from: the one that Linux calls kvm-clock, and the TSC at
 * the frequency that CPUID leaf 0x15 tells. It sleeps by TSC deadlines and computes in between, for
 * "seconds=" of its own time, and prints both clocks at the beginning and at the end beside the raw
 * TSC: who knows the TSC's true frequency can tell how wrong they go.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define MSR_SYSTEM_TIME 0x4b564d01
#define SYSTEM_TIME_ON	1
#define NSEC_PER_SEC	1000000000ull
#define SLEEP_NS	20000000ull
#define WORK_NS		500000ull
#define LATE_NS		(200 * SLEEP_NS) /* the emulator itself may be kept waiting */
#define VECTOR_TIMER	0x40
#define SPURIOUS	0xff
#define CPUID_TSC	0x15

const char test_name[] = "clock";

/* Linux, Documentation/virt/kvm/x86/msr.rst */
static volatile struct {
	uint32_t version, pad0;
	uint64_t tsc_timestamp, system_time;
	uint32_t tsc_mul;
	int8_t tsc_shift;
	uint8_t flags, pad1[2];
} clock __attribute__((aligned(64)));

static volatile uint64_t wakes;

static void on_timer(void)
{
	wakes++;
	apic_write(APIC_EOI, 0);
}

/* kvm-clock at a time stamp. */
static uint64_t clock_at(uint64_t tsc)
{
	uint64_t ticks = tsc - clock.tsc_timestamp, high, low;

	if (clock.tsc_shift >= 0)
		ticks <<= clock.tsc_shift;
	else
		ticks >>= -clock.tsc_shift;
	__asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(ticks), "r"((uint64_t)clock.tsc_mul));
	return clock.system_time + (high << 32 | low >> 32);
}

/* The frequency by CPUID; 0 where this CPU's kind does not have the leaf. */
static uint64_t told_hz(void)
{
	struct cpuid_regs regs;

	if (cpuid(0, 0).eax < CPUID_TSC)
		return 0;
	regs = cpuid(CPUID_TSC, 0);
	return regs.eax ? (uint64_t)regs.ecx * regs.ebx / regs.eax : 0;
}

/* Ticks of the TSC by kvm-clock's own scale, for lengths that need not be exact. */
static uint64_t ticks_of(uint64_t ns)
{
	uint64_t ticks = (ns << 24) / (clock.tsc_mul >> 8);

	return clock.tsc_shift >= 0 ? ticks >> clock.tsc_shift : ticks << -clock.tsc_shift;
}

static void sleep_ticks(uint64_t ticks)
{
	uint64_t before = wakes, deadline = rdtsc() + ticks;

	CHECK_EQ(wrmsr_safe(MSR_TSC_DEADLINE, deadline), NO_VECTOR, "a deadline");
	while (wakes == before)
		irq_wait();
	CHECK(rdtsc() >= deadline, "woken up before the deadline");
	CHECK(rdtsc() - deadline < ticks_of(LATE_NS), "woken up %lu ns late",
	      clock_at(rdtsc()) - clock_at(deadline));
}

static void report(const char *when)
{
	uint64_t tsc = rdtsc();

	print("clock: %s tsc %lu kvm-clock %lu told %lu\n", when, tsc, clock_at(tsc), told_hz());
}

void test_main(void)
{
	uint64_t ns = cmdline_number("seconds=", 1) * NSEC_PER_SEC, end, start;

	tidepool_require();
	CHECK_EQ(wrmsr_safe(MSR_SYSTEM_TIME, (uint64_t)&clock | SYSTEM_TIME_ON), NO_VECTOR,
		 "MSR_KVM_SYSTEM_TIME_NEW");
	CHECK(clock.tsc_mul, "the clock has no scale");
	trap_set_handler(VECTOR_TIMER, on_timer);
	apic_use_x2apic();
	apic_write(APIC_SVR, APIC_SVR_ENABLE | SPURIOUS);
	apic_write(APIC_LVT_TIMER, APIC_TIMER_TSC_DEADLINE | VECTOR_TIMER);
	report("start");
	end = rdtsc() + ticks_of(ns);
	while (rdtsc() < end) {
		sleep_ticks(ticks_of(SLEEP_NS));
		start = rdtsc();
		while (rdtsc() - start < ticks_of(WORK_NS))
			continue;
	}
	report("end");
}

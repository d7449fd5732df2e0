/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC of the first vCPU, as its guest uses it. Include after <cmocka.h>.
 */
#ifndef TESTS_UNIT_LAPIC_HOST_H
#define TESTS_UNIT_LAPIC_HOST_H

#include "core/dev/lapic.h"
#include "core/errno.h"
#include "tests/unit/dev_host.h"

#define CPU (&host_vcpus[0])

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

static inline uint32_t in(uint32_t offset)
{
	uint32_t value = 0xdeadbeef;

	assert_int_equal(lapic_mmio_read(CPU, offset, &value), 0);
	return value;
}

static inline void out(uint32_t offset, uint32_t value)
{
	assert_int_equal(lapic_mmio_write(CPU, offset, value), 0);
}

static inline int wrmsr(uint32_t msr, uint64_t value)
{
	return lapic_msr_write(CPU, msr, value);
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint64_t value = 0xdeadbeef;

	assert_int_equal(lapic_msr_read(CPU, msr, &value), 0);
	return value;
}

static inline uint32_t x2(uint32_t offset)
{
	return X2APIC + offset / 16;
}

static inline void enter_x2apic(void)
{
	assert_int_equal(wrmsr(APIC_BASE, VM_LAPIC_BASE | BASE_BSP | BASE_ENABLE | BASE_X2APIC), 0);
}

static inline void check_gp_read(uint32_t msr)
{
	uint64_t value;

	assert_int_equal(lapic_msr_read(CPU, msr, &value), -EINVAL);
}

/* Lets time go by. */
static inline void pass(uint64_t ns)
{
	host.now += ns * HOST_TSC_KHZ / 1000000;
	lapic_poll_timer(CPU, host.now);
}

/* Whether this interrupt is the next one; takes and ends it. */
static inline bool take(uint8_t vector)
{
	if (lapic_pending(CPU) != vector)
		return false;
	lapic_accept(CPU, vector);
	if (rdmsr(APIC_BASE) & BASE_X2APIC)
		assert_int_equal(wrmsr(x2(EOI), 0), 0);
	else
		out(EOI, 0);
	return true;
}

/* lapic_host_setup - cmocka's set-up: power-on state, then enabled by software. */
static inline int lapic_host_setup(void **state)
{
	(void)state;
	host_reset();
	out(SVR, 0x1ff);
	return 0;
}

#endif

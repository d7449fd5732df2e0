/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A processor for the VMX backend's unit tests: VMCS fields, MSRs, CPUID and control registers are
 * variables here. The test includes this first, then the backend's .c files.
 */
#ifndef TESTS_UNIT_VMX_HOST_H
#define TESTS_UNIT_VMX_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The real instructions get out of the way under other names. */
#define rdmsr	  hw_rdmsr
#define cpuid_eax hw_cpuid_eax
#define cpuid_ebx hw_cpuid_ebx
#define cpuid_ecx hw_cpuid_ecx
#define cpuid_edx hw_cpuid_edx
#define read_cr2  hw_read_cr2
#define write_cr2 hw_write_cr2
#define read_cr4  hw_read_cr4
#define read_dr6  hw_read_dr6
#define write_dr6 hw_write_dr6
#define this_cpu  hw_this_cpu
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/percpu.h"
#undef rdmsr
#undef cpuid_eax
#undef cpuid_ebx
#undef cpuid_ecx
#undef cpuid_edx
#undef read_cr2
#undef write_cr2
#undef read_cr4
#undef read_dr6
#undef write_dr6
#undef this_cpu

#define ARCH_VMX_INSN_H /* in its place: */
#include "arch/x86_64/vmx/fields.h"
#include "core/console.h"
#include "core/panic.h"
#include "core/types.h"

#define HOST_FIELDS   0x8000
#define HOST_MSRS     0x100 /* from HOST_MSR_BASE */
#define HOST_MSR_BASE 0x400

static uint64_t host_fields[HOST_FIELDS];
static uint64_t host_msrs[HOST_MSRS], host_feature_control;
static struct cpuid_regs host_cpuid_1, host_cpuid_7, host_cpuid_80000001;
static uint64_t host_cr2, host_cr4, host_dr6;
static unsigned int host_invvpids, host_writes;
static struct pcpu host_cpu;
static char host_messages[8192];

static inline uint64_t vmread(uint32_t field)
{
	assert_true(field < HOST_FIELDS);
	return host_fields[field];
}

static inline uint32_t vmread32(uint32_t field)
{
	return (uint32_t)vmread(field);
}

static inline void vmwrite(uint32_t field, uint64_t value)
{
	assert_true(field < HOST_FIELDS);
	host_fields[field] = value;
	host_writes++;
}

enum vmx_invalidate { VMX_INVALIDATE_SINGLE = 1, VMX_INVALIDATE_ALL = 2 };

static inline void invvpid(enum vmx_invalidate kind, uint16_t vpid)
{
	assert_int_equal(kind, VMX_INVALIDATE_SINGLE);
	assert_int_not_equal(vpid, 0);
	host_invvpids++;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	if (msr == MSR_FEATURE_CONTROL)
		return host_feature_control;
	assert_in_range(msr, HOST_MSR_BASE, HOST_MSR_BASE + HOST_MSRS - 1);
	return host_msrs[msr - HOST_MSR_BASE];
}

static inline struct cpuid_regs host_leaf(uint32_t leaf, uint32_t subleaf)
{
	(void)subleaf;
	switch (leaf) {
	case 0:
		return (struct cpuid_regs){.eax = 0x16};
	case 1:
		return host_cpuid_1;
	case 7:
		return host_cpuid_7;
	case 0x80000001:
		return host_cpuid_80000001;
	case 0x80000008:
		return (struct cpuid_regs){.eax = 39};
	default:
		fail_msg("CPUID leaf %x", leaf);
		return (struct cpuid_regs){0};
	}
}

static inline uint32_t cpuid_eax(uint32_t leaf, uint32_t subleaf)
{
	return host_leaf(leaf, subleaf).eax;
}

static inline uint32_t cpuid_ebx(uint32_t leaf, uint32_t subleaf)
{
	return host_leaf(leaf, subleaf).ebx;
}

static inline uint32_t cpuid_ecx(uint32_t leaf, uint32_t subleaf)
{
	return host_leaf(leaf, subleaf).ecx;
}

static inline uint32_t cpuid_edx(uint32_t leaf, uint32_t subleaf)
{
	return host_leaf(leaf, subleaf).edx;
}

static inline uint64_t read_cr2(void)
{
	return host_cr2;
}

static inline void write_cr2(uint64_t value)
{
	host_cr2 = value;
}

static inline uint64_t read_cr4(void)
{
	return host_cr4;
}

static inline uint64_t read_dr6(void)
{
	return host_dr6;
}

static inline void write_dr6(uint64_t value)
{
	host_dr6 = value;
}

static inline struct pcpu *this_cpu(void)
{
	return &host_cpu;
}

void printk(const char *fmt, ...)
{
	size_t used = strlen(host_messages);
	va_list args;

	va_start(args, fmt);
	vsnprintf(host_messages + used, sizeof(host_messages) - used, fmt, args);
	va_end(args);
}

void panic(const char *fmt, ...)
{
	fail_msg("panic: %s", fmt);
	abort();
}

#endif

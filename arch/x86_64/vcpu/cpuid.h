/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID inside this folder: the allow-list's form, and what policy_init() has found.
 */
#ifndef ARCH_VCPU_CPUID_H
#define ARCH_VCPU_CPUID_H

#include "arch/x86_64/cpu/cpu.h"
#include "core/types.h"

struct vcpu;

#define CPUID_HYPERVISOR  0x40000000u /* first leaf of the range left to hypervisors */
#define CPUID_EXTENDED	  0x80000000u
#define CPUID_ANY_SUBLEAF UINT32_MAX /* the leaf has none, or: all that are not listed before */

/* Adds what depends on the vCPU or is not the host's. @subleaf: as the guest gave it. */
typedef void cpuid_fix_fn(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs);

struct cpuid_row {
	uint32_t leaf, subleaf;
	struct cpuid_regs allowed; /* bits of the host's answer that go through */
	cpuid_fix_fn *fix;	   /* NULL: nothing to add */
};

/* Features that are of no use unless these XCR0 bits can be set; then they are hidden. */
struct cpuid_need {
	uint32_t leaf, subleaf; /* as in the row */
	uint64_t components;
	struct cpuid_regs features;
};

/* The allow-list (cpuid_table.c). */
extern const struct cpuid_row cpuid_rows[];
extern const unsigned int cpuid_row_count;
extern const struct cpuid_need cpuid_needs[];
extern const unsigned int cpuid_need_count;

#define CPUID_ROWS_MAX 64u

/* What the rows add (cpuid_fix.c), in their order. */
cpuid_fix_fn cpuid_fix_vendor, cpuid_fix_features, cpuid_fix_cache, cpuid_fix_timer,
	cpuid_fix_structured, cpuid_fix_threads, cpuid_fix_cores, cpuid_fix_no_level,
	cpuid_fix_xstate, cpuid_fix_crystal, cpuid_fix_frequency, cpuid_fix_kvm_signature,
	cpuid_fix_kvm_features, cpuid_fix_tidepool_signature, cpuid_fix_tidepool_version,
	cpuid_fix_extended, cpuid_fix_extended_features, cpuid_fix_power, cpuid_fix_address_sizes,
	cpuid_fix_amd_topology;

/*
 * cpuid_guest_bits - a leaf as every guest sees it: the host's bits that the allow-list shows,
 * without what its fix function adds. Zero for what is not listed. Constant after policy_init().
 */
struct cpuid_regs cpuid_guest_bits(uint32_t leaf, uint32_t subleaf);

/* cpuid_is_amd - is the processor of AMD's kind (AMD, Hygon)? Else Intel's. */
bool cpuid_is_amd(void);

#endif

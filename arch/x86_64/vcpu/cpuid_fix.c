/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the CPUID leaves say that is not the host's: features we emulate, the guest's own topology,
 * clock and state sizes, and the hypervisor's leaves.
 *
 * Documents: SDM vol. 2A "CPUID"; APM vol. 3 appendix E; Linux Documentation/virt/kvm/x86/cpuid.rst
 * for the leaves from 0x40000000.
 */
#include "arch/x86_64/vcpu/cpuid.h"
#include "arch/x86_64/vcpu/cpuid_bits.h"
#include "arch/x86_64/vcpu/fpu.h"
#include "arch/x86_64/virt.h"
#include "core/string.h"
#include "core/dev/lapic.h"
#include "core/time.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"
#include <tidepool/abi.h>

#define MAX_LEAF_INTEL	  0x16u
#define MAX_LEAF_AMD	  0x0du
#define MAX_LEAF_EXTENDED 0x80000021u

#define CACHE_TYPE(eax)	   ((eax)&0x1f) /* 0: there is no such cache */
#define CACHE_LEVEL(eax)   ((eax) >> 5 & 7)
#define CACHE_SHARED_SHIFT 14 /* threads that share it, less one */
#define CACHE_CORES_SHIFT  26 /* Intel: cores of the package, less one */
#define CACHE_LAST_LEVEL   3u /* the one that all cores share */

#define TOPOLOGY_THREADS 0x100u /* leaf 0xb ECX 15:8: kind of level; 7:0: its number */
#define TOPOLOGY_CORES	 0x201u

#define PHYSICAL_BITS_MAX 48u /* what a 4-level nested page table translates */
#define LINEAR_BITS	  48u

#define BUS_MHZ 100u

/* Features of leaf 0x40000001, which Linux takes for KVM's. */
#define KVM_FEATURE_CLOCKSOURCE2       BIT(3)
#define KVM_FEATURE_CLOCKSOURCE_STABLE BIT(24)

/* Cores of the guest, rounded up to what APIC ids can tell apart. */
static uint32_t core_id_bits(const struct vcpu *vcpu)
{
	uint32_t bits = 0;

	while (BIT(bits) < vcpu->vm->vcpu_count)
		bits++;
	return bits;
}

static uint32_t core_ids(const struct vcpu *vcpu)
{
	return 1u << core_id_bits(vcpu);
}

/* A signature of twelve characters. */
static void set_signature(struct cpuid_regs *regs, const char text[12])
{
	memcpy(&regs->ebx, text, 4);
	memcpy(&regs->ecx, text + 4, 4);
	memcpy(&regs->edx, text + 8, 4);
}

void cpuid_fix_vendor(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)vcpu, (void)subleaf;
	regs->eax = cpuid_is_amd() ? MAX_LEAF_AMD : MAX_LEAF_INTEL;
}

void cpuid_fix_features(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	struct vcpu_paging paging;

	(void)subleaf;
	virt->get_paging(vcpu, &paging);
	regs->ebx |= vcpu->id << 24 | core_ids(vcpu) << 16;
	regs->ecx |= CPUID_1_ECX_X2APIC | CPUID_1_ECX_TSC_DEADLINE | CPUID_1_ECX_HYPERVISOR;
	if (regs->ecx & CPUID_1_ECX_XSAVE && paging.cr4 & CR4_OSXSAVE)
		regs->ecx |= CPUID_1_ECX_OSXSAVE;
	if (vcpu->vm->vcpu_count > 1)
		regs->edx |= CPUID_1_EDX_HTT;
}

/* Leaves 4 and 0x8000001d have the same form; AMD's has no count of cores. */
void cpuid_fix_cache(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	uint32_t others = core_ids(vcpu) - 1;

	(void)subleaf;
	if (!CACHE_TYPE(regs->eax)) {
		*regs = (struct cpuid_regs){0};
		return;
	}
	if (CACHE_LEVEL(regs->eax) >= CACHE_LAST_LEVEL)
		regs->eax |= others << CACHE_SHARED_SHIFT;
	if (!cpuid_is_amd())
		regs->eax |= others << CACHE_CORES_SHIFT;
}

/* The local APIC's timer never stops: without this Linux looks for another one. */
void cpuid_fix_timer(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)vcpu, (void)subleaf;
	regs->eax = CPUID_6_EAX_ARAT;
}

void cpuid_fix_structured(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)vcpu, (void)subleaf;
	regs->eax = cpuid_guest_bits(0x7, 1).eax ? 1 : 0; /* the last subleaf */
	regs->ebx |= CPUID_7_EBX_TSC_ADJUST;
}

void cpuid_fix_threads(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)subleaf;
	*regs = (struct cpuid_regs){.ebx = 1, .ecx = TOPOLOGY_THREADS, .edx = vcpu->id};
}

void cpuid_fix_cores(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)subleaf;
	*regs = (struct cpuid_regs){
		.eax = core_id_bits(vcpu),
		.ebx = vcpu->vm->vcpu_count,
		.ecx = TOPOLOGY_CORES,
		.edx = vcpu->id,
	};
}

void cpuid_fix_no_level(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	*regs = (struct cpuid_regs){.ecx = subleaf & 0xff, .edx = vcpu->id};
}

void cpuid_fix_xstate(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	uint64_t offered = fpu_guest_xcr0();

	(void)subleaf;
	if (!offered)
		return;
	*regs = (struct cpuid_regs){
		.eax = (uint32_t)offered,
		.ebx = fpu_area_size(vcpu->arch.xcr0),
		.ecx = fpu_area_size(offered),
		.edx = (uint32_t)(offered >> 32),
	};
}

/*
 * Intel: the TSC's frequency is crystal * EBX / EAX. The crystal is told as fast as the TSC itself,
 * or as its largest part that fits 32 bits: the local APIC's timer counts it.
 */
void cpuid_fix_crystal(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	uint64_t hz = (uint64_t)tsc_khz * 1000;
	uint32_t ratio = lapic_clock_ratio();

	(void)vcpu, (void)subleaf;
	if (!cpuid_is_amd())
		*regs = (struct cpuid_regs){.eax = 1, .ebx = ratio, .ecx = (uint32_t)(hz / ratio)};
}

void cpuid_fix_frequency(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	uint32_t mhz = (tsc_khz + 500) / 1000;

	(void)vcpu, (void)subleaf;
	if (!cpuid_is_amd())
		*regs = (struct cpuid_regs){.eax = mhz, .ebx = mhz, .ecx = BUS_MHZ};
}

/* Linux uses the x2APIC without interrupt remapping only where it believes to see KVM. */
void cpuid_fix_kvm_signature(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)vcpu, (void)subleaf;
	regs->eax = CPUID_HYPERVISOR + 1;
	set_signature(regs, "KVMKVMKVM\0\0");
}

void cpuid_fix_kvm_features(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)vcpu, (void)subleaf;
	regs->eax = KVM_FEATURE_CLOCKSOURCE2 | KVM_FEATURE_CLOCKSOURCE_STABLE;
}

void cpuid_fix_tidepool_signature(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)vcpu, (void)subleaf;
	regs->eax = CPUID_HYPERVISOR + TIDEPOOL_CPUID_STEP + TIDEPOOL_CPUID_VERSION;
	set_signature(regs, TIDEPOOL_CPUID_SIGNATURE);
}

void cpuid_fix_tidepool_version(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)vcpu, (void)subleaf;
	regs->eax = TIDEPOOL_ABI_VERSION;
	regs->ebx = TIDEPOOL_FEATURES;
	regs->ecx = TIDEPOOL_MAX_POOLS;
}

void cpuid_fix_extended(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)vcpu, (void)subleaf;
	regs->eax = MAX_LEAF_EXTENDED;
}

void cpuid_fix_extended_features(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)subleaf;
	if (cpuid_is_amd() && vcpu->vm->vcpu_count > 1)
		regs->ecx |= CPUID_80000001_ECX_CMP_LEGACY;
}

void cpuid_fix_power(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)vcpu, (void)subleaf;
	regs->edx = CPUID_80000007_EDX_INVARIANT_TSC;
}

void cpuid_fix_address_sizes(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	uint32_t physical = regs->eax;

	(void)subleaf;
	if (physical > PHYSICAL_BITS_MAX)
		physical = PHYSICAL_BITS_MAX;
	regs->eax = LINEAR_BITS << 8 | physical;
	if (cpuid_is_amd())
		regs->ecx = core_id_bits(vcpu) << 12 | (vcpu->vm->vcpu_count - 1);
}

void cpuid_fix_amd_topology(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_regs *regs)
{
	(void)subleaf;
	if (cpuid_guest_bits(0x80000001, 0).ecx & CPUID_80000001_ECX_TOPOEXT)
		*regs = (struct cpuid_regs){.eax = vcpu->id, .ebx = vcpu->id & 0xff};
}

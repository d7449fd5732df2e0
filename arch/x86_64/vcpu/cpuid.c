/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID: the allow-list applied to the host, once; then a guest's questions answered out of it.
 */
#include "arch/x86_64/vcpu/cpuid.h"
#include "arch/x86_64/vcpu/cpuid_bits.h"
#include "arch/x86_64/vcpu/fpu.h"
#include "arch/x86_64/vcpu/host.h"
#include "arch/x86_64/vcpu/msr_policy.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/vcpu/pvclock.h"
#include "arch/x86_64/virt.h"
#include "core/panic.h"
#include "core/vm/vcpu.h"

/* First letters of the vendor's name, in EBX of leaf 0: "AuthenticAMD", "HygonGenuine". */
#define VENDOR_AMD_EBX	 0x68747541u
#define VENDOR_HYGON_EBX 0x6f677948u

/* The host's answer to each row, as far as it is allowed. Written by policy_init() only. */
static struct cpuid_regs answers[CPUID_ROWS_MAX];
static bool amd;

static struct cpuid_regs mask(struct cpuid_regs regs, struct cpuid_regs bits)
{
	regs.eax &= bits.eax;
	regs.ebx &= bits.ebx;
	regs.ecx &= bits.ecx;
	regs.edx &= bits.edx;
	return regs;
}

static struct cpuid_regs invert(struct cpuid_regs regs)
{
	return (struct cpuid_regs){~regs.eax, ~regs.ebx, ~regs.ecx, ~regs.edx};
}

/*
 * The host's leaf; zero when it has none. What lies above it has to say in the hypervisor leaves is
 * no business of the guest's.
 */
static struct cpuid_regs read_host(uint32_t leaf, uint32_t subleaf)
{
	uint32_t range = leaf & ~0xffffu;

	if (range == CPUID_HYPERVISOR || leaf > host_cpuid(range, 0).eax)
		return (struct cpuid_regs){0};
	return host_cpuid(leaf, subleaf == CPUID_ANY_SUBLEAF ? 0 : subleaf);
}

/* The row's index, or -1. */
static int find_row(uint32_t leaf, uint32_t subleaf)
{
	for (unsigned int i = 0; i < cpuid_row_count; i++) {
		const struct cpuid_row *row = &cpuid_rows[i];

		if (row->leaf == leaf &&
		    (row->subleaf == subleaf || row->subleaf == CPUID_ANY_SUBLEAF))
			return (int)i;
	}
	return -1;
}

static void hide(uint32_t leaf, uint32_t subleaf, struct cpuid_regs features)
{
	int row = find_row(leaf, subleaf);

	BUG_ON(row < 0);
	answers[row] = mask(answers[row], invert(features));
}

static void hide_unusable(uint64_t xcr0)
{
	/* Intel's; some AMD processors show them beside their own, and SVM does not switch the MSR.
	 */
	const struct cpuid_regs spec_ctrl = {.edx = CPUID_7_EDX_SPEC_CTRL | CPUID_7_EDX_STIBP |
						    CPUID_7_EDX_SSBD};

	for (unsigned int i = 0; i < cpuid_need_count; i++) {
		const struct cpuid_need *need = &cpuid_needs[i];

		if ((xcr0 & need->components) != need->components)
			hide(need->leaf, need->subleaf, need->features);
	}
	if (amd)
		hide(0x7, 0, spec_ctrl);
}

void policy_init(void)
{
	uint32_t vendor = host_cpuid(0, 0).ebx;

	BUG_ON(cpuid_row_count > CPUID_ROWS_MAX);
	amd = vendor == VENDOR_AMD_EBX || vendor == VENDOR_HYGON_EBX;
	for (unsigned int i = 0; i < cpuid_row_count; i++) {
		const struct cpuid_row *row = &cpuid_rows[i];

		answers[i] = mask(read_host(row->leaf, row->subleaf), row->allowed);
	}
	fpu_policy_init();
	hide_unusable(fpu_guest_xcr0());
	msr_policy_init();
	pvclock_init();
}

struct cpuid_regs cpuid_guest_bits(uint32_t leaf, uint32_t subleaf)
{
	int row = find_row(leaf, subleaf);

	return row < 0 ? (struct cpuid_regs){0} : answers[row];
}

bool cpuid_is_amd(void)
{
	return amd;
}

void cpuid_emulate(struct vcpu *vcpu)
{
	uint64_t *gpr = vcpu->arch.gpr;
	uint32_t subleaf = (uint32_t)gpr[RCX];
	struct cpuid_regs regs = {0};
	int row = find_row((uint32_t)gpr[RAX], subleaf);

	if (row >= 0) {
		regs = answers[row];
		if (cpuid_rows[row].fix)
			cpuid_rows[row].fix(vcpu, subleaf, &regs);
	}
	gpr[RAX] = regs.eax;
	gpr[RBX] = regs.ebx;
	gpr[RCX] = regs.ecx;
	gpr[RDX] = regs.edx;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Documents: SDM vol. 3A, "Control Registers"; APM vol. 2, 3.1.3 "CR4 Register". */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vcpu/cpuid.h"
#include "arch/x86_64/vcpu/cpuid_bits.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/virt.h"

/*
 * Which CPUID bit offers which CR4 bits; PCE alone hangs on none. What is not in here is never
 * offered: CET and PKS, for example, have state that exits would have to switch.
 */
static const struct {
	uint32_t leaf;
	enum gpr reg;
	uint32_t feature;
	uint64_t cr4;
} offers[] = {
	{.leaf = 1, .reg = RDX, .feature = CPUID_1_EDX_VME, .cr4 = CR4_VME | CR4_PVI},
	{.leaf = 1, .reg = RDX, .feature = CPUID_1_EDX_DE, .cr4 = CR4_DE},
	{.leaf = 1, .reg = RDX, .feature = CPUID_1_EDX_PSE, .cr4 = CR4_PSE},
	{.leaf = 1, .reg = RDX, .feature = CPUID_1_EDX_TSC, .cr4 = CR4_TSD},
	{.leaf = 1, .reg = RDX, .feature = CPUID_1_EDX_PAE, .cr4 = CR4_PAE},
	{.leaf = 1, .reg = RDX, .feature = CPUID_1_EDX_MCE, .cr4 = CR4_MCE},
	{.leaf = 1, .reg = RDX, .feature = CPUID_1_EDX_PGE, .cr4 = CR4_PGE},
	{.leaf = 1, .reg = RDX, .feature = CPUID_1_EDX_FXSR, .cr4 = CR4_OSFXSR},
	{.leaf = 1, .reg = RDX, .feature = CPUID_1_EDX_SSE, .cr4 = CR4_OSXMMEXCPT},
	{.leaf = 1, .reg = RCX, .feature = CPUID_1_ECX_PCID, .cr4 = CR4_PCIDE},
	{.leaf = 1, .reg = RCX, .feature = CPUID_1_ECX_XSAVE, .cr4 = CR4_OSXSAVE},
	{.leaf = 7, .reg = RBX, .feature = CPUID_7_EBX_FSGSBASE, .cr4 = CR4_FSGSBASE},
	{.leaf = 7, .reg = RBX, .feature = CPUID_7_EBX_SMEP, .cr4 = CR4_SMEP},
	{.leaf = 7, .reg = RBX, .feature = CPUID_7_EBX_SMAP, .cr4 = CR4_SMAP},
	{.leaf = 7, .reg = RCX, .feature = CPUID_7_ECX_UMIP, .cr4 = CR4_UMIP},
};

/* Asks the guests' own CPUID, so that both can never tell different stories. */
uint64_t cr4_offered(void)
{
	uint64_t offered = CR4_PCE;

	for (unsigned int i = 0; i < ARRAY_SIZE(offers); i++) {
		struct cpuid_regs bits = cpuid_guest_bits(offers[i].leaf, 0);
		uint32_t reg = offers[i].reg == RBX   ? bits.ebx
			       : offers[i].reg == RCX ? bits.ecx
						      : bits.edx;

		if (reg & offers[i].feature)
			offered |= offers[i].cr4;
	}
	return offered;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The instructions behind host.h. */
#include "arch/x86_64/vcpu/host.h"

struct cpuid_regs host_cpuid(uint32_t leaf, uint32_t subleaf)
{
	return cpuid(leaf, subleaf);
}

uint64_t host_rdmsr(uint32_t msr)
{
	return rdmsr(msr);
}

void host_wrmsr(uint32_t msr, uint64_t value)
{
	wrmsr(msr, value);
}

void host_set_xcr0(uint64_t xcr0)
{
	xsetbv(0, xcr0);
}

void host_fpu_save(void *area, uint64_t components)
{
	if (components)
		__asm__ volatile("xsave64 (%0)" ::"r"(area), "a"((uint32_t)components),
				 "d"((uint32_t)(components >> 32))
				 : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

void host_fpu_restore(const void *area, uint64_t components)
{
	if (components)
		__asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"((uint32_t)components),
				 "d"((uint32_t)(components >> 32))
				 : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}

void host_fpu_forget_pointers(void)
{
	static const uint32_t zero;

	/* FNCLEX: a pending exception would be raised by FILD; EMMS: its stack must have room. */
	__asm__ volatile("fnclex\n\temms\n\tfildl %0" : : "m"(zero));
}

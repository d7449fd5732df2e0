/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instructions that this folder needs, each as a function of its own: everything else here is
 * plain C, and the unit tests link a processor of their own making instead of host.c.
 */
#ifndef ARCH_VCPU_HOST_H
#define ARCH_VCPU_HOST_H

#include "arch/x86_64/cpu/cpu.h"
#include "core/types.h"

/* host_cpuid - the processor's own answer. */
struct cpuid_regs host_cpuid(uint32_t leaf, uint32_t subleaf);

/* host_rdmsr, host_wrmsr - only MSRs that the host's CPUID announces: a #GP would be a panic. */
uint64_t host_rdmsr(uint32_t msr);
void host_wrmsr(uint32_t msr, uint64_t value);

/* host_set_xcr0 - XSETBV of XCR0. Only where the host has XSAVE, CR4.OSXSAVE set. */
void host_set_xcr0(uint64_t xcr0);

/*
 * host_fpu_save, host_fpu_restore - vector state between the registers and @area (64-byte aligned)
 * @components: XCR0 bits to move with XSAVE; 0: the processor has FXSAVE only
 */
void host_fpu_save(void *area, uint64_t components);
void host_fpu_restore(const void *area, uint64_t components);

/* host_fpu_forget_pointers - x87 without exceptions, its last instruction's address our own. */
void host_fpu_forget_pointers(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's vector registers: which components it is offered, and their switch between vCPUs.
 *
 * The hypervisor itself uses general registers, but for leaf routines that put back what they
 * touch, so the guest's vector state stays in the processor from vcpu_load() to vcpu_unload().
 *
 * Documents: SDM vol. 1 chapter 13 "Managing State Using the XSAVE Feature Set".
 */
#include "arch/x86_64/vcpu/fpu.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vcpu/cpuid.h"
#include "arch/x86_64/vcpu/cpuid_bits.h"
#include "arch/x86_64/vcpu/host.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/virt.h"
#include "core/errno.h"
#include "core/string.h"
#include "core/vm/vcpu.h"

#define XSAVE_LEAF	  0xdu
#define XSAVE_LEGACY_SIZE 576u	    /* FXSAVE region and header */
#define COMPONENTS	  10u	    /* up to PKRU */
#define AREA_MAX	  PAGE_SIZE /* arch.fpu is one frame */

#define XCR0_LEGACY (XCR0_X87 | XCR0_SSE)
#define XCR0_AVX512 (XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)

/* Initial values that are not zero (SDM vol. 1, 13.6), at their place in the FXSAVE region. */
#define FCW_OFFSET   0u
#define FCW_INIT     0x37fu
#define MXCSR_OFFSET 24u
#define MXCSR_INIT   0x1f80u

/* Where a component lies in the standard format. Written by fpu_policy_init() only. */
static struct {
	uint32_t size, offset;
} components[COMPONENTS];
static uint64_t offered;

/*
 * What moves with a vCPU: what is offered, and PKRU. The latter is hidden, but a guest that sets
 * CR4.PKE all the same reaches the register by WRPKRU, and must not find another guest's value.
 */
static uint64_t switched;

/*
 * AMD processors without XSAVEERPTR restore the addresses of the last x87 instruction and operand
 * only with an exception pending: the next guest would see the last one's (CVE-2006-1056).
 */
static bool keeps_pointers;

/* Adds components to a set, unless the host lacks one or the area does not hold them. */
static void add(uint64_t *set, uint64_t host, uint64_t wanted)
{
	if ((host & wanted) == wanted && fpu_area_size(*set | wanted) <= AREA_MAX)
		*set |= wanted;
}

void fpu_policy_init(void)
{
	struct cpuid_regs regs;
	uint64_t host;

	offered = 0;
	switched = 0;
	keeps_pointers = cpuid_is_amd() &&
			 !(cpuid_guest_bits(0x80000008, 0).ebx & CPUID_80000008_EBX_XSAVEERPTR);
	if (!(host_cpuid(1, 0).ecx & CPUID_1_ECX_OSXSAVE))
		return;
	host = host_cpuid(XSAVE_LEAF, 0).eax;
	for (uint32_t i = 2; i < COMPONENTS; i++) {
		regs = host_cpuid(XSAVE_LEAF, i);
		components[i].size = regs.eax;
		components[i].offset = regs.ebx;
	}
	add(&offered, host, XCR0_LEGACY);
	add(&offered, host, XCR0_LEGACY | XCR0_AVX);
	if (offered & XCR0_AVX)
		add(&offered, host, XCR0_AVX512);
	switched = offered;
	add(&switched, host, XCR0_PKRU);
}

uint64_t fpu_guest_xcr0(void)
{
	return offered;
}

uint32_t fpu_area_size(uint64_t xcr0)
{
	uint32_t end, size = XSAVE_LEGACY_SIZE;

	for (unsigned int i = 2; i < COMPONENTS; i++) {
		end = components[i].offset + components[i].size;
		if (xcr0 & BIT(i) && end > size)
			size = end;
	}
	return size;
}

bool fpu_xcr0_valid(uint64_t xcr0)
{
	if (xcr0 & ~offered || !(xcr0 & XCR0_X87))
		return false;
	if (xcr0 & XCR0_AVX && !(xcr0 & XCR0_SSE))
		return false;
	if (!(xcr0 & XCR0_AVX512))
		return true;
	return xcr0 & XCR0_AVX && (xcr0 & XCR0_AVX512) == XCR0_AVX512;
}

int xsetbv_emulate(struct vcpu *vcpu)
{
	const uint64_t *gpr = vcpu->arch.gpr;
	uint64_t value = gpr[RDX] << 32 | (uint32_t)gpr[RAX];
	struct vcpu_paging paging;

	virt->get_paging(vcpu, &paging);
	if (paging.cpl != 0 || (uint32_t)gpr[RCX] != 0 || !fpu_xcr0_valid(value))
		return -EINVAL;
	vcpu->arch.xcr0 = value;
	host_set_xcr0(value);
	return 0;
}

void fpu_init(struct vcpu *vcpu)
{
	const uint16_t fcw = FCW_INIT;
	const uint32_t mxcsr = MXCSR_INIT;
	uint8_t *area = vcpu->arch.fpu;

	memset(area, 0, AREA_MAX);
	memcpy(area + FCW_OFFSET, &fcw, sizeof(fcw));
	memcpy(area + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
	vcpu->arch.xcr0 = XCR0_X87;
}

/*
 * A guest may clear XCR0 bits and find the registers behind them again: move what is offered,
 * whatever XCR0 says.
 */
void fpu_load(struct vcpu *vcpu)
{
	if (switched)
		host_set_xcr0(switched);
	if (keeps_pointers)
		host_fpu_forget_pointers();
	host_fpu_restore(vcpu->arch.fpu, switched);
	if (switched)
		host_set_xcr0(vcpu->arch.xcr0);
}

void fpu_unload(struct vcpu *vcpu)
{
	if (switched)
		host_set_xcr0(switched);
	host_fpu_save(vcpu->arch.fpu, switched);
}

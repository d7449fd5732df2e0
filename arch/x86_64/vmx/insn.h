/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VMX instructions as functions
 *
 * They report failure in CF (no current VMCS, bad operand address) and ZF (an error number is in
 * the VMCS). With the operands that this backend gives them, a failure is a bug of the hypervisor
 * and no guest can cause one: the functions that return nothing panic.
 *
 * Source: SDM vol. 3C, chapter "VMX Instruction Reference", "Conventions".
 */
#ifndef ARCH_VMX_INSN_H
#define ARCH_VMX_INSN_H

#include "arch/x86_64/vmx/fields.h"
#include "core/panic.h"
#include "core/types.h"

/* vmxon, vmclear, vmptrld - @region: a 4 KiB region that starts with the revision. Return success.
 */
static inline bool vmxon(hpa_t region)
{
	bool ok;

	__asm__ volatile("vmxon %1" : "=@cca"(ok) : "m"(region) : "memory");
	return ok;
}

static inline void vmclear(hpa_t region)
{
	bool ok;

	__asm__ volatile("vmclear %1" : "=@cca"(ok) : "m"(region) : "memory");
	if (!ok)
		panic("VMCLEAR of %llx failed", (unsigned long long)region);
}

static inline void vmptrld(hpa_t region)
{
	bool ok;

	__asm__ volatile("vmptrld %1" : "=@cca"(ok) : "m"(region) : "memory");
	if (!ok)
		panic("VMPTRLD of %llx failed", (unsigned long long)region);
}

/* vmptrst - the current VMCS, or VMCS_NONE. Cannot fail after VMXON. */
#define VMCS_NONE UINT64_MAX

static inline hpa_t vmptrst(void)
{
	hpa_t region;

	__asm__ volatile("vmptrst %0" : "=m"(region) : : "cc");
	return region;
}

static inline uint64_t vmread(uint32_t field)
{
	uint64_t value;
	bool ok;

	__asm__ volatile("vmread %2, %1" : "=@cca"(ok), "=r"(value) : "r"((uint64_t)field));
	if (__builtin_expect(!ok, 0))
		panic("VMREAD of field %x failed", field);
	return value;
}

static inline uint32_t vmread32(uint32_t field)
{
	return (uint32_t)vmread(field);
}

static inline void vmwrite(uint32_t field, uint64_t value)
{
	bool ok;

	__asm__ volatile("vmwrite %1, %2" : "=@cca"(ok) : "r"(value), "r"((uint64_t)field));
	if (__builtin_expect(!ok, 0))
		panic("VMWRITE of %llx to field %x failed", (unsigned long long)value, field);
}

/* Kinds of invalidation: the same numbers for both instructions. */
enum vmx_invalidate { VMX_INVALIDATE_SINGLE = 1, VMX_INVALIDATE_ALL = 2 };

/* invept - drop what this CPU has cached from the nested tables of @eptp, or of all. */
static inline void invept(enum vmx_invalidate kind, uint64_t eptp)
{
	const struct {
		uint64_t eptp, zero;
	} operand = {eptp, 0};
	bool ok;

	__asm__ volatile("invept %1, %2"
			 : "=@cca"(ok)
			 : "m"(operand), "r"((uint64_t)kind)
			 : "memory");
	if (!ok)
		panic("INVEPT %u failed", kind);
}

/* invvpid - drop what this CPU has cached from the guest tables under @vpid, or all. */
static inline void invvpid(enum vmx_invalidate kind, uint16_t vpid)
{
	const struct {
		uint64_t vpid, linear;
	} operand = {vpid, 0};
	bool ok;

	__asm__ volatile("invvpid %1, %2"
			 : "=@cca"(ok)
			 : "m"(operand), "r"((uint64_t)kind)
			 : "memory");
	if (!ok)
		panic("INVVPID %u failed", kind);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offsets that assembler files need, taken from the structs themselves
 *
 * Compiled to assembler text only; the build turns each line "->NAME value" of it into a #define
 * in build/asm_offsets.h.
 */
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/virt.h"

#define DEFINE(name, value) __asm__ volatile("\n.ascii \"->" #name " %c0\"" : : "i"(value))

void asm_offsets(void);

void asm_offsets(void)
{
	DEFINE(VCPU_RAX, offsetof(struct arch_vcpu, gpr[RAX]));
	DEFINE(VCPU_RCX, offsetof(struct arch_vcpu, gpr[RCX]));
	DEFINE(VCPU_RDX, offsetof(struct arch_vcpu, gpr[RDX]));
	DEFINE(VCPU_RBX, offsetof(struct arch_vcpu, gpr[RBX]));
	DEFINE(VCPU_RSP, offsetof(struct arch_vcpu, gpr[RSP]));
	DEFINE(VCPU_RBP, offsetof(struct arch_vcpu, gpr[RBP]));
	DEFINE(VCPU_RSI, offsetof(struct arch_vcpu, gpr[RSI]));
	DEFINE(VCPU_RDI, offsetof(struct arch_vcpu, gpr[RDI]));
	DEFINE(VCPU_R8, offsetof(struct arch_vcpu, gpr[R8]));
	DEFINE(VCPU_R9, offsetof(struct arch_vcpu, gpr[R9]));
	DEFINE(VCPU_R10, offsetof(struct arch_vcpu, gpr[R10]));
	DEFINE(VCPU_R11, offsetof(struct arch_vcpu, gpr[R11]));
	DEFINE(VCPU_R12, offsetof(struct arch_vcpu, gpr[R12]));
	DEFINE(VCPU_R13, offsetof(struct arch_vcpu, gpr[R13]));
	DEFINE(VCPU_R14, offsetof(struct arch_vcpu, gpr[R14]));
	DEFINE(VCPU_R15, offsetof(struct arch_vcpu, gpr[R15]));
	DEFINE(VCPU_CR2, offsetof(struct arch_vcpu, cr2));
	DEFINE(VCPU_HOST_SP, offsetof(struct arch_vcpu, host_sp));
	DEFINE(VCPU_LAUNCHED, offsetof(struct arch_vcpu, launched));
	DEFINE(VCPU_FAST_CALLS, offsetof(struct arch_vcpu, fast_calls));
	DEFINE(VCPU_CONTROL, offsetof(struct arch_vcpu, control));
	DEFINE(VCPU_CONTROL_PA, offsetof(struct arch_vcpu, control_pa));
	DEFINE(VCPU_SCRATCH, offsetof(struct arch_vcpu, scratch));

	DEFINE(PCPU_REGION_SIZE_ASM, PCPU_REGION_SIZE);
	DEFINE(PCPU_VIRT_HOST_AREA, offsetof(struct pcpu, virt_host_area));
}

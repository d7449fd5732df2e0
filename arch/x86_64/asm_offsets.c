/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offsets that assembler files need, taken from the structs themselves
 *
 * Compiled to assembler text only; the build turns each line "->NAME value" of it into a #define
 * in build/asm_offsets.h.
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/desc.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/cpu/trap.h"
#include "arch/x86_64/svm/vmcb.h"
#include "arch/x86_64/virt.h"

#define DEFINE(name, value) __asm__ volatile("\n.ascii \"->" #name " %0\"" : : "i"(value))

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
	DEFINE(VCPU_SPEC_CTRL, offsetof(struct arch_vcpu, spec_ctrl));
	DEFINE(VCPU_CONTROL, offsetof(struct arch_vcpu, control));
	DEFINE(VCPU_CONTROL_PA, offsetof(struct arch_vcpu, control_pa));
	DEFINE(VCPU_SCRATCH, offsetof(struct arch_vcpu, scratch));

	DEFINE(ASM_PCPU_REGION_SIZE, PCPU_REGION_SIZE);
	DEFINE(PCPU_VIRT_HOST_AREA, offsetof(struct pcpu, virt_host_area));

	DEFINE(VMCB_INTERRUPT_SHADOW, offsetof(struct vmcb, control.interrupt_shadow));
	DEFINE(VMCB_EXIT_CODE, offsetof(struct vmcb, control.exit_code));
	DEFINE(VMCB_EVENT_INJ, offsetof(struct vmcb, control.event_inj));
	DEFINE(VMCB_CPL, offsetof(struct vmcb, save.cpl));
	DEFINE(VMCB_RIP, offsetof(struct vmcb, save.rip));
	DEFINE(VMCB_RAX, offsetof(struct vmcb, save.rax));

	/*
	 * Constants whose C form, with casts and suffixes, an assembler does not read. %c prints
	 * only what fits 32 signed bits; the lower halves of the descriptors are zero.
	 */
	DEFINE(ASM_IMAGE_BASE, IMAGE_BASE);
	DEFINE(ASM_SELECTOR_CODE, SELECTOR_CODE);
	DEFINE(ASM_SELECTOR_DATA, SELECTOR_DATA);
	DEFINE(ASM_DESCRIPTOR_CODE_HIGH, DESCRIPTOR_CODE >> 32);
	DEFINE(ASM_DESCRIPTOR_DATA_HIGH, DESCRIPTOR_DATA >> 32);
	DEFINE(ASM_PTE_TABLE, PTE_PRESENT | PTE_WRITE);
	DEFINE(ASM_PTE_BLOCK, PTE_PRESENT | PTE_WRITE | PTE_LARGE);
	DEFINE(ASM_CR0_HOST, (int32_t)CR0_HOST);
	DEFINE(ASM_CR4_PAE, CR4_PAE);
	DEFINE(ASM_EFER_LME, EFER_LME);
	DEFINE(ASM_EFER_NXE, EFER_NXE);
	DEFINE(ASM_CPUID_LM, CPUID_80000001_EDX_LM);
	DEFINE(ASM_CPUID_NX, CPUID_80000001_EDX_NX);
	DEFINE(ASM_CPUID_RDRAND_BIT, __builtin_ctz(CPUID_1_ECX_RDRAND));
}

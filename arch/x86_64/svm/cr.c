/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's CR4
 *
 * All writes exit: SVM has no mask of bits. They are rare, and a guest must not turn on what its
 * CPUID hides: whose state nobody would switch, or what would be #GP on another CPU.
 *
 * MCE is always set, as in the host: without it a machine check does not arrive as such, but shuts
 * the guest's CPU down, and the host would go on without a look at what is broken. Reads exit too
 * while the guest has it clear; a booted kernel has it set.
 *
 * Documents: APM vol. 2, 3.1.3 "CR4 Register", 5.5.2 "Global Pages" and 5.5.3 "TLB Management"
 * (which changes flush), 8.2.18 "#MC" (with CR4.MCE clear: shutdown), 15.8.1 "MOV CRx
 * intercepts".
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/svm/svm.h"
#include "core/errno.h"

#define CR4_FLUSHING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP)

uint64_t svm_read_cr4(struct vcpu *vcpu)
{
	const struct vmcb *vmcb = vmcb_of(vcpu);
	bool mce_is_clear = vmcb->control.intercept_cr & INTERCEPT_CR4_READ;

	return mce_is_clear ? vmcb->save.cr4 & ~CR4_MCE : vmcb->save.cr4;
}

void svm_set_cr4(struct vcpu *vcpu, uint64_t value)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->save.cr4 = value | CR4_MCE;
	if (value & CR4_MCE)
		vmcb->control.intercept_cr &= ~(uint32_t)INTERCEPT_CR4_READ;
	else
		vmcb->control.intercept_cr |= (uint32_t)INTERCEPT_CR4_READ;
}

int svm_write_cr4(struct vcpu *vcpu, uint64_t value)
{
	const struct vmcb_save *save = &vmcb_of(vcpu)->save;
	uint64_t changed = value ^ svm_read_cr4(vcpu);
	bool long_mode = save->efer & EFER_LMA;

	if (value & ~svm_of(vcpu)->cr4_offered)
		return -EINVAL;
	if (long_mode && !(value & CR4_PAE))
		return -EINVAL;
	if (changed & value & CR4_PCIDE && (!long_mode || save->cr3 & CR3_PCID_MASK))
		return -EINVAL;

	svm_set_cr4(vcpu, value);
	if (changed & CR4_FLUSHING) /* a new ASID at the next entry: see take_asid() */
		svm_of(vcpu)->asid_generation = 0;
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's writes of CR4
 *
 * All of them exit: SVM has no mask of bits. They are rare, and a guest must not turn on what its
 * CPUID hides: whose state nobody would switch, or what would be #GP on another CPU.
 *
 * Documents: APM vol. 2, 3.1.3 "CR4 Register", 5.5.2 "Global Pages" and 5.5.3 "TLB Management"
 * (which changes flush), 15.8.1 "MOV CRx intercepts".
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/svm/svm.h"
#include "core/errno.h"

#define CR4_FLUSHING (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP)

int svm_write_cr4(struct vcpu *vcpu, uint64_t value)
{
	struct vmcb_save *save = &vmcb_of(vcpu)->save;
	uint64_t changed = value ^ save->cr4;
	bool long_mode = save->efer & EFER_LMA;

	if (value & ~svm_of(vcpu)->cr4_offered)
		return -EINVAL;
	if (long_mode && !(value & CR4_PAE))
		return -EINVAL;
	if (changed & value & CR4_PCIDE && (!long_mode || save->cr3 & CR3_PCID_MASK))
		return -EINVAL;

	save->cr4 = value;
	if (changed & CR4_FLUSHING) /* a new ASID at the next entry: see take_asid() */
		svm_of(vcpu)->asid_generation = 0;
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chooses the backend. By vendor, not by trying: AMD-compatible CPUs never have VMX and the
 * other way round, and the messages can then name what the right backend misses.
 */
#include "arch/x86_64/virt.h"
#include "arch/x86_64/cpu/cpu.h"
#include "core/console.h"
#include "core/errno.h"

#define CPUID_1_ECX_VMX	       BIT(5)
#define CPUID_80000001_ECX_SVM BIT(2)

const struct virt_ops *virt;
bool virt_apicv_off;

int virt_select(void)
{
	const struct virt_ops *ops = NULL;

	if (cpuid_ecx(1, 0) & CPUID_1_ECX_VMX)
		ops = &vmx_ops;
	else if (cpuid_eax(0x80000000, 0) >= 0x80000001 &&
		 cpuid_ecx(0x80000001, 0) & CPUID_80000001_ECX_SVM)
		ops = &svm_ops;
	if (!ops) {
		printk("tidepool: this CPU has neither Intel VT-x (VMX) nor AMD-V (SVM), or the "
		       "firmware hides it; Tidepool needs one of them\n");
		return -ENODEV;
	}
	if (ops->cpu_check() < 0)
		return -ENODEV;
	virt = ops;
	return 0;
}

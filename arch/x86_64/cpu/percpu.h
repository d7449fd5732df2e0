/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-CPU data, found through the stack pointer
 *
 * Everything that belongs to one CPU - this struct, its main stack and its exception stacks, with
 * unmapped guard pages between - lives in one aligned region, so any stack pointer tells the CPU.
 * No segment register is used: on SVM the guest's FS, GS and TR stay loaded while a hypercall is
 * served, and saving them would cost more than the rest of the exit.
 */
#ifndef ARCH_CPU_PERCPU_H
#define ARCH_CPU_PERCPU_H

#include "core/types.h"
#include "arch/x86_64/cpu/desc.h"

#define PCPU_REGION_SIZE 0x10000ul /* 64 KiB, aligned likewise */
#define PCPU_MAX	 64u	   /* CPUs that are used; more are left out with a message */

struct vcpu;
struct sched_cpu;

struct pcpu {
	uint32_t index;		   /* 0 is the boot CPU */
	uint32_t apic_id;	   /* of the local APIC */
	struct vcpu *loaded;	   /* the vCPU whose guest state this CPU holds, or NULL */
	struct sched_cpu *sched;   /* core/sched.c's own */
	void *virt_area;	   /* the backend's 4 KiB: VMXON region or host save area */
	hpa_t virt_host_area;	   /* SVM: the VMCB that keeps the host's FS, GS, TR for VMLOAD */
	bool need_resched;	   /* the slice is over, or another CPU asks for attention */
	uint64_t interrupts;	   /* host interrupts taken */
	struct desc_tables tables; /* GDT, TSS */
};

/* this_cpu - the executing CPU's data. Context: any, once percpu_init_boot_cpu() has switched
 * stacks. */
static inline struct pcpu *this_cpu(void)
{
	uint64_t sp;

	__asm__("mov %%rsp, %0" : "=r"(sp));
	return (struct pcpu *)(sp & ~(PCPU_REGION_SIZE - 1));
}

/* All CPUs that run, by index; entries at and above pcpu_count are NULL. */
extern struct pcpu *pcpus[PCPU_MAX];
extern uint32_t pcpu_count;

#endif

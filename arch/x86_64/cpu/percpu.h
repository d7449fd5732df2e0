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

#define PCPU_REGION_SIZE 0x20000ul /* 128 KiB, aligned likewise */
#define PCPU_MAX	 64u	   /* CPUs that are used; more are left out with a message */

/*
 * The region, in pages; what is not named is an unmapped guard page. Stacks grow downwards, so each
 * has its guard in front; behind the last one named all pages are guards.
 */
#define PCPU_DATA_PAGE	0u /* struct pcpu */
#define PCPU_DF_STACK	2u /* double fault, */
#define PCPU_NMI_STACK	5u /* NMI and */
#define PCPU_MC_STACK	8u /* machine check: PCPU_IST_PAGES each */
#define PCPU_IST_PAGES	2u
#define PCPU_MAIN_STACK 11u
#define PCPU_MAIN_PAGES 4u
#define PCPU_LZ4_STATE	16u
#define PCPU_LZ4_PAGES	5u

struct vcpu;
struct sched_cpu;

struct pcpu {
	uint32_t index;		   /* 0 is the boot CPU */
	uint32_t apic_id;	   /* of the local APIC */
	uint32_t node;		   /* NUMA node, below frames_nodes() */
	struct vcpu *loaded;	   /* the vCPU whose guest state this CPU holds, or NULL */
	struct sched_cpu *sched;   /* core/sched.c's own */
	void *virt_area;	   /* the backend's 4 KiB: VMXON region or host save area */
	hpa_t virt_host_area;	   /* SVM: the VMCB that keeps the host's FS, GS, TR for VMLOAD */
	bool need_resched;	   /* the slice is over, or another CPU asks for attention */
	uint64_t interrupts;	   /* host interrupts taken */
	uint64_t timer_deadline;   /* TSC that lapic_set_timer() was last given */
	struct desc_tables tables; /* GDT, TSS */
};

/* this_cpu - the executing CPU's data. Context: any, once the boot stack is left. */
static inline struct pcpu *this_cpu(void)
{
	uint64_t sp;

	__asm__("mov %%rsp, %0" : "=r"(sp));
	return (struct pcpu *)(sp & ~(PCPU_REGION_SIZE - 1));
}

/*
 * percpu_create - a region for one more CPU: mapped, zeroed but for index and apic_id
 * Returns NULL without memory or when PCPU_MAX regions have been made. Context: boot CPU.
 */
struct pcpu *percpu_create(uint32_t index, uint32_t apic_id);

/* percpu_stack_top - where the CPU's main stack starts. */
uint64_t percpu_stack_top(const struct pcpu *cpu);

/* percpu_lz4_state - LZ4_STATE_SIZE bytes to compress with, zeroed at the start. */
void *percpu_lz4_state(struct pcpu *cpu);

/* percpu_load_desc - the executing CPU's descriptor tables, with its exception stacks. */
void percpu_load_desc(void);

/* percpu_is_stack - are these bytes, inside some region, part of one of its stacks? */
bool percpu_is_stack(uint64_t address, uint64_t size);

/* percpu_ready - does this_cpu() work yet: is the stack pointer in a region? */
bool percpu_ready(void);

/* All CPUs that run, by index; entries at and above pcpu_count are NULL. */
extern struct pcpu *pcpus[PCPU_MAX];
extern uint32_t pcpu_count;

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual CPU
 */
#ifndef CORE_VM_VCPU_H
#define CORE_VM_VCPU_H

#include "arch/x86_64/virt.h"
#include "core/dev/lapic.h"
#include "core/types.h"

struct vm;

enum vcpu_status {
	VCPU_RUNNABLE,
	VCPU_HALTED,	/* HLT: waits for an interrupt */
	VCPU_WAIT_SIPI, /* waits to be started by another vCPU */
	VCPU_WAIT_INIT, /* HLT with interrupts off: only INIT by another vCPU gets it out */
	VCPU_STOPPED,	/* left the scheduler for good */
};

struct vcpu {
	struct arch_vcpu arch; /* first: the entry code finds it at the vCPU's address */
	struct vm *vm;
	uint32_t id;		 /* inside the VM; its APIC id */
	uint32_t cpu;		 /* index of the pCPU it is placed on */
	enum vcpu_status status; /* written by its own CPU; to and from WAIT_*: under vm->lock */
	struct lapic lapic;
	struct vcpu_exit exit;
	bool window; /* an interrupt window was asked for */
	bool nmi;    /* one waits until the guest can take it */
	uint64_t exits[EXIT_KIND_COUNT];
	uint64_t run_ticks; /* TSC ticks it has run: the scheduler's account */
	uint64_t vruntime;  /* run_ticks over weight: the scheduler's order */
	/* core/vm/balloon.h: states of the guest's memory map */
	uint64_t map_epoch;   /* atomic: the one that it uses; 0: none, it is outside vcpu_run() */
	uint64_t map_flushed; /* the last one that cached translations were dropped for */
	struct vcpu *next;    /* on its pCPU's list */
};

/*
 * vcpu_run - run a loaded vCPU until it halts, stops, or the CPU is wanted for something else
 * Context: its CPU, loaded, interrupts off; opens them now and then.
 */
void vcpu_run(struct vcpu *vcpu);

/*
 * vcpu_deadline - TSC at which vcpu_run() has something to do unasked: the local APIC's timer, or,
 * for the first vCPU, the work of the VM's devices; TIME_NEVER: nothing. Context: its CPU.
 */
uint64_t vcpu_deadline(const struct vcpu *vcpu);

/*
 * vcpu_kick - make a vCPU notice new work: an interrupt in its local APIC, a stopping VM
 * Context: any CPU, any locks.
 */
void vcpu_kick(struct vcpu *vcpu);

/*
 * hypercall_fast - the tmem ABI's entry, called by the backends' exit code
 *
 * Arguments are in vcpu->arch.gpr; the result goes to gpr[RAX]. The backend has checked nothing.
 * @cpl: the guest's privilege level at the call
 * Returns false for a call that changes the guest's memory map: nothing has been done, and it is to
 * be made an EXIT_HYPERCALL, since the vCPU must not go on in the guest before it follows the map.
 * Context: loaded, interrupts off (SVM: GIF clear, guest FS/GS/TR loaded). Bounded; takes the
 * store's locks only.
 */
bool hypercall_fast(struct vcpu *vcpu, unsigned int cpl);

#endif

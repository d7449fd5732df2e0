/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which vCPU runs on a CPU, and for how long
 *
 * Each vCPU is placed on one CPU. A CPU runs the runnable vCPU that has had the least time for its
 * weight, a slice at a time; without competition it runs without ticks.
 */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include "core/types.h"

struct vcpu;
struct vm;

/* sched_init_cpu - this CPU's part of the scheduler. Context: once on each CPU. */
void sched_init_cpu(void);

/* sched_has_cpus - are there all the CPUs of a guest's cpus=? @cpus: as in struct guest_config. */
bool sched_has_cpus(uint64_t cpus);

/* sched_nodes - the NUMA nodes of these CPUs, a bit for each; 0: of all CPUs */
uint32_t sched_nodes(uint64_t cpus);

/*
 * sched_add - place a vCPU on the CPU with the least weight on it, of those that its guest may use;
 *	       of several such on one of the node that the guest's RAM is from
 * Context: any; sched_has_cpus() of the guest's.
 */
void sched_add(struct vcpu *vcpu);

/* sched_add_work - have this CPU call vm_work() for a guest, between vCPUs, until it is done. */
void sched_add_work(struct vm *vm);

/* sched_wait_start - wait for sched_start(), which the boot CPU calls when guests are placed. */
void sched_wait_start(void);
void sched_start(void);

/* sched_run - the CPU's main loop. Context: own stack, interrupts off. */
void sched_run(void) __attribute__((noreturn));

/*
 * sched_yield - let any other vCPU that can run on this CPU go first, once
 *
 * For a vCPU that waits for another one in a loop. Context: from vcpu_run(), which then returns.
 */
void sched_yield(void);

/* sched_get_figures - what a CPU does; @cpu is below pcpu_count. Context: any. */
struct sched_figures {
	uint64_t weight;    /* of the vCPUs placed there */
	uint64_t run_ticks; /* TSC ticks that it ran vCPUs */
};
void sched_get_figures(uint32_t cpu, struct sched_figures *figures);

/* sched_want_timer - see that this CPU gets a timer interrupt at @tsc or before. */
void sched_want_timer(uint64_t tsc);

#endif

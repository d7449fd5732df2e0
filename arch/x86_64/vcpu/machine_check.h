/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine checks: whose memory is it that went bad?
 *
 * One that is about memory that belongs to a guest ends that guest, and the 2 MiB block around it
 * is not used again. All others end the host, and so does one that hits the hypervisor while it
 * reads that memory: what it would compute with is not known to be right.
 *
 * Intel's processors have machine checks come to all CPUs. Those whose banks report nothing go on:
 * there is one whose banks do, and which decides. CPUs that share a bank may all find the report.
 */
#ifndef ARCH_VCPU_MACHINE_CHECK_H
#define ARCH_VCPU_MACHINE_CHECK_H

#include "core/types.h"

struct vcpu;
struct vm;

/* What one bank reports. */
struct machine_check {
	uint64_t status, address, misc;
};

enum machine_check_effect {
	MACHINE_CHECK_HARMLESS, /* corrected, or nothing at all */
	MACHINE_CHECK_MEMORY,	/* the memory at address is lost; nothing else is */
	MACHINE_CHECK_FATAL,
};

/* machine_check_judge - what a bank's report means. @intel: whose format misc has. */
enum machine_check_effect machine_check_judge(const struct machine_check *report, bool intel);

/* machine_check_owner - the guest whose RAM is there, or NULL. Context: any. */
struct vm *machine_check_owner(hpa_t address);

/*
 * machine_check_in_guest - a machine check made the vCPU exit
 * Stops the guests that are hit, the vCPU's own among them when it cannot go on; or panics.
 */
void machine_check_in_guest(struct vcpu *vcpu);

/*
 * machine_check_in_host - one interrupted the hypervisor
 *
 * Returns whether what was interrupted can go on; then machine_check_report() is to be called soon.
 * Otherwise the banks are as they were, to be printed. Context: the exception's handler, so that
 * any lock may be held.
 */
bool machine_check_in_host(void);

/*
 * machine_check_report - stop the guests that this CPU's machine checks were about, and say so
 * Context: no lock held.
 */
void machine_check_report(void);

/* machine_check_print - the banks, for the panic that follows. Context: any. */
void machine_check_print(void);

/* machine_check_init_cpu - let all banks report. Context: each CPU, once. */
void machine_check_init_cpu(void);

#endif

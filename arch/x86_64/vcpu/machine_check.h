/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Machine checks: whose memory is it that went bad?
 *
 * One that interrupts a guest, and is about memory that belongs to a guest, ends that guest. All
 * others end the host: what it would compute with is not known to be right.
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

/* machine_check_owner - the guest whose RAM is there, or NULL. */
struct vm *machine_check_owner(hpa_t address);

/*
 * machine_check_in_guest - a machine check made the vCPU exit
 * Stops the guests that are hit, the vCPU's own among them when it cannot go on; or panics.
 */
void machine_check_in_guest(struct vcpu *vcpu);

/* machine_check_print - the banks, for the panic that follows. Context: any. */
void machine_check_print(void);

/* machine_check_init_cpu - let all banks report. Context: each CPU, once. */
void machine_check_init_cpu(void);

#endif

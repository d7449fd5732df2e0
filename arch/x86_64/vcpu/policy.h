/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest sees of the processor, the same on both backends: CPUID and MSRs by allow-list,
 * extended control registers, emulation of the few instructions that touch device memory.
 */
#ifndef ARCH_VCPU_POLICY_H
#define ARCH_VCPU_POLICY_H

#include "core/types.h"

struct vcpu;
struct vcpu_state;

/*
 * policy_init - read the host's CPUID, MSRs and time of day once
 * Context: boot CPU, its control registers final, TSC frequency known; before any vCPU.
 */
void policy_init(void);

/* cpuid_emulate - answer CPUID for gpr[RAX], gpr[RCX] into RAX, RBX, RCX, RDX. */
void cpuid_emulate(struct vcpu *vcpu);

/* cr4_offered - the CR4 bits that a guest may set. After policy_init(). */
uint64_t cr4_offered(void);

/* msr_init - power-on values of the MSRs that are kept in arch. */
void msr_init(struct vcpu *vcpu);

/* msr_read, msr_write - number in ECX. Return 0, or -EINVAL: answer with #GP. */
int msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
int msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value);

/* xsetbv_emulate - ECX, EDX:EAX. Returns 0 or -EINVAL (#GP). */
int xsetbv_emulate(struct vcpu *vcpu);

/* fpu_init - zeroed initial vector state in arch.fpu, XCR0 = 1. fpu_load, fpu_unload: XRSTOR,
 * XSAVE. */
void fpu_init(struct vcpu *vcpu);
void fpu_load(struct vcpu *vcpu);
void fpu_unload(struct vcpu *vcpu);

/*
 * mmio_emulate - carry out the instruction that made an EXIT_MMIO, through core/dev/bus.h
 *
 * Returns the instruction's length (the caller skips it), 0 when an exception was injected or the
 * access is simply retried, -EINVAL for an instruction that we do not emulate (stops the guest).
 */
int mmio_emulate(struct vcpu *vcpu);

/*
 * string_io_emulate - carry out the INS or OUTS that made an EXIT_IO, through core/dev/bus.h
 *
 * Returns the instruction's length (the caller skips it), or 0: the guest executes it again, or an
 * exception was injected. A repeated instruction goes on like that: its registers say how far it
 * is. Bounded: 64 elements. Context: loaded, vm->lock not held.
 */
int string_io_emulate(struct vcpu *vcpu);

/* vcpu_state_reset - the processor's state after INIT or power-on (SDM vol. 3A, table 9-1). */
void vcpu_state_reset(struct vcpu_state *state);

/*
 * vcpu_init_signal - what INIT does to a processor that runs
 * vcpu_startup	    - what a start-up IPI does to one that INIT made wait: real mode at @page << 12
 *
 * Vector registers, XCR0, the MSRs, and CR0's two cache bits stay as they are. The local APIC is
 * core/dev's. Context: loaded.
 */
void vcpu_init_signal(struct vcpu *vcpu);
void vcpu_startup(struct vcpu *vcpu, uint8_t page);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock that Linux knows from KVM: time since the guest's start as a scaled TSC, and the time
 * of day, each written into guest memory that the guest names by an MSR.
 */
#ifndef ARCH_VCPU_PVCLOCK_H
#define ARCH_VCPU_PVCLOCK_H

#include "core/types.h"

struct vcpu;

#define MSR_PV_WALL_CLOCK  0x4b564d00u
#define MSR_PV_SYSTEM_TIME 0x4b564d01u

/* pvclock_init - compute the TSC's scale, read the time of day. Part of policy_init(). */
void pvclock_init(void);

/*
 * pvclock_set_system_time - the guest's write of MSR_PV_SYSTEM_TIME
 * @value: guest-physical address of the vCPU's time; bit 0: on
 * pvclock_set_wall_clock - of MSR_PV_WALL_CLOCK: where to write the time of day at the guest's
 * start Return 0, or -EINVAL (#GP) when that is no RAM.
 */
int pvclock_set_system_time(struct vcpu *vcpu, uint64_t value);
int pvclock_set_wall_clock(struct vcpu *vcpu, uint64_t value);

/* pvclock_update - arch.tsc_offset has a new value: tell the guest, if it has asked for this. */
void pvclock_update(struct vcpu *vcpu);

#endif

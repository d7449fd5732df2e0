/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_VCPU_MSR_POLICY_H
#define ARCH_VCPU_MSR_POLICY_H

/* msr_policy_init - read what guests are shown of the host's MSRs. Part of policy_init(). */
void msr_policy_init(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The vector state's components that guests are offered. Constant after fpu_policy_init(). */
#ifndef ARCH_VCPU_FPU_H
#define ARCH_VCPU_FPU_H

#include "core/types.h"

/* fpu_policy_init - read the host's XSAVE leaves. Part of policy_init(). */
void fpu_policy_init(void);

/* fpu_guest_xcr0 - every bit a guest may set in XCR0; 0: no XSAVE, the state is FXSAVE's. */
uint64_t fpu_guest_xcr0(void);

/* fpu_area_size - bytes of an XSAVE area of these components, in the standard format. */
uint32_t fpu_area_size(uint64_t xcr0);

/* fpu_xcr0_valid - may a guest load @xcr0? (SDM vol. 2C, XSETBV) */
bool fpu_xcr0_valid(uint64_t xcr0);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's instruction at RIP, for those who carry it out. */
#ifndef ARCH_VCPU_FETCH_H
#define ARCH_VCPU_FETCH_H

#include "arch/x86_64/vcpu/decode.h"

struct vm;
struct vcpu_paging;

/* insn_mode - how the guest's code segment tells to read instructions. */
enum insn_mode insn_mode(const struct vcpu_paging *paging);

/*
 * insn_fetch - copy the instruction, once: another vCPU may be changing it
 * Returns the bytes found: fewer than INSN_MAX where a page is not there, or is no RAM.
 */
size_t insn_fetch(const struct vm *vm, const struct vcpu_paging *paging, uint8_t bytes[INSN_MAX]);

#endif

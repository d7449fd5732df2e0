/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_BACKTRACE_H
#define ARCH_CPU_BACKTRACE_H

#include "core/types.h"

/*
 * backtrace_print - who called whom, with symbols, by the chain of frame pointers
 * @rip: the innermost address, 0 to start with the caller of the function whose frame is @rbp
 * @rbp: its frame pointer
 *
 * Follows only pointers into this CPU's own stacks, so a destroyed chain ends it without a fault.
 * Context: any.
 */
void backtrace_print(uint64_t rip, uint64_t rbp);

/* symbol_name - the function that holds @address, with @offset into it; NULL when unknown. */
const char *symbol_name(uint64_t address, uint64_t *offset);

#endif

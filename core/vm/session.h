/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's pages in the store on their way out, or in, by the hands of a manager guest. */
#ifndef CORE_VM_SESSION_H
#define CORE_VM_SESSION_H

#include "core/types.h"

struct vm;

/*
 * session_manage - TIDEPOOL_OP_MANAGE: docs/abi.md's, "For managers"
 * @vm:	  the guest that calls
 * @what: TIDEPOOL_MANAGE_*; @a, @b, @c: its arguments, as they came
 *
 * Returns the call's result. Context: a vCPU of @vm, interrupts off, no lock held.
 */
int64_t session_manage(struct vm *vm, uint64_t what, uint64_t a, uint64_t b, uint64_t c);

/*
 * session_drop_step - end what a guest is being saved or restored by, and what it does to others
 *
 * Bounded. Returns true when nothing is left. Context: as vm_destroy_step(); @vm->tmem is there.
 */
bool session_drop_step(struct vm *vm);

#endif

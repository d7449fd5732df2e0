/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls behind hypercall_fast() (core/vm/vcpu.h): docs/abi.md's operations on pages. */
#ifndef CORE_VM_HYPERCALL_H
#define CORE_VM_HYPERCALL_H

#include "core/types.h"
#include "tmem/tmem.h"

struct vcpu;
struct vm;

/* A call's operation and arguments, as they came: from registers or from a descriptor. */
struct page_call {
	uint64_t op; /* TIDEPOOL_OP_*, or any other number */
	uint64_t pool;
	struct tmem_key key;
	uint64_t frame; /* TIDEPOOL_OP_FLUSH_RANGE: the count */
	uint64_t span;
	const void *next; /* host address of the page that the next call puts, or NULL: a hint */
};

/*
 * hypercall_page - check and carry out an operation on one page, object or range
 *
 * Returns the call's result; -TIDEPOOL_ENOSYS for any other operation.
 * Context: a vCPU of @vm, interrupts off.
 */
int64_t hypercall_page(struct vm *vm, const struct page_call *call);

/* hypercall_frame - the host address of a guest frame, or NULL when it is no RAM of the guest */
void *hypercall_frame(const struct vm *vm, uint64_t gfn);

/*
 * hypercall_vector - TIDEPOOL_OP_VECTOR
 * @gpa, @count, @flags: as the guest passed them
 *
 * Returns how many descriptors were carried out, from the first on, or the error.
 * Context: as hypercall_page().
 */
int64_t hypercall_vector(struct vm *vm, uint64_t gpa, uint64_t count, uint64_t flags);

#endif

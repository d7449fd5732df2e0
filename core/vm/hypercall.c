/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's door to the store: docs/abi.md in code.
 *
 * Everything is checked before the store is called, and the store either does all of an operation
 * or none. No indirect branch and no unmasked index depends on a guest's register here: the
 * operations are told apart by comparisons (-fno-jump-tables).
 */
#include <tidepool/abi.h>
#include "arch/x86_64/virt.h"
#include "core/vm/hypercall.h"
#include "core/vm/session.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"
#include "tmem/tmem.h"

/* What KVM answers to a call it does not know: Linux may try one, having seen KVM's CPUID leaf. */
#define KVM_ENOSYS 1000

#define OP_MASK 0xffffull /* of RAX; the magic is above */

/* No call answers this: it is not for the fast path. */
#define NOT_HERE INT64_MIN

static int64_t new_pool(struct vcpu *vcpu)
{
	const uint64_t *gpr = vcpu->arch.gpr;
	uint64_t uuid[2] = {gpr[RSI], gpr[RDX]};

	return tmem_pool_create(vcpu->vm->tmem, gpr[RDI], uuid);
}

/* Everything about pages: the operation and its seven arguments. */
static int64_t page_operation(struct vcpu *vcpu, uint64_t op)
{
	const uint64_t *gpr = vcpu->arch.gpr;
	const struct page_call call = {
		.op = op,
		.pool = gpr[RDI],
		.key = {.oid = {gpr[RSI], gpr[RDX], gpr[RCX]}, .index = gpr[R8]},
		.frame = gpr[R9],
		.span = gpr[R10],
	};

	return hypercall_page(vcpu->vm, &call);
}

static int64_t query(struct vcpu *vcpu)
{
	struct tmem_stats stats;

	tmem_client_stats(vcpu->vm->tmem, &stats);
	switch (vcpu->arch.gpr[RDI]) {
	case TIDEPOOL_QUERY_PUTS:
		return (int64_t)stats.puts;
	case TIDEPOOL_QUERY_REFUSED:
		return (int64_t)stats.refused;
	case TIDEPOOL_QUERY_GETS:
		return (int64_t)stats.gets;
	case TIDEPOOL_QUERY_MISSES:
		return (int64_t)stats.misses;
	case TIDEPOOL_QUERY_FLUSHED:
		return (int64_t)stats.flushed;
	case TIDEPOOL_QUERY_HELD:
		return (int64_t)stats.held;
	default:
		return -TIDEPOOL_EINVAL;
	}
}

static int64_t dispatch(struct vcpu *vcpu, uint64_t call)
{
	const uint64_t *gpr = vcpu->arch.gpr;
	uint64_t op = call & OP_MASK;

	if (call == TIDEPOOL_CALL(TIDEPOOL_OP_NULL))
		return TIDEPOOL_ABI_VERSION;
	if ((call & ~OP_MASK) != TIDEPOOL_CALL_MAGIC)
		return -KVM_ENOSYS;
	switch (op) {
	case TIDEPOOL_OP_NEW_POOL:
		return new_pool(vcpu);
	case TIDEPOOL_OP_DESTROY_POOL:
		return tmem_pool_destroy(vcpu->vm->tmem, gpr[RDI]);
	case TIDEPOOL_OP_QUERY:
		return query(vcpu);
	case TIDEPOOL_OP_VECTOR:
		return hypercall_vector(vcpu->vm, gpr[RDI], gpr[RSI], gpr[RDX]);
	case TIDEPOOL_OP_GIVE_BLOCK:
	case TIDEPOOL_OP_TAKE_BLOCK:
	case TIDEPOOL_OP_TARGET:
	case TIDEPOOL_OP_REPORT:
		return NOT_HERE;
	case TIDEPOOL_OP_MANAGE:
		return session_manage(vcpu->vm, gpr[RDI], gpr[RSI], gpr[RDX], gpr[RCX]);
	default:
		return page_operation(vcpu, op);
	}
}

bool hypercall_fast(struct vcpu *vcpu, unsigned int cpl)
{
	uint64_t *rax = &vcpu->arch.gpr[RAX];
	int64_t result = cpl ? -TIDEPOOL_EPERM : dispatch(vcpu, *rax);

	if (result == NOT_HERE)
		return false;
	*rax = (uint64_t)result;
	return true;
}

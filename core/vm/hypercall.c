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
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"
#include "tmem/tmem.h"

/* What KVM answers to a call it does not know: Linux may try one, having seen KVM's CPUID leaf. */
#define KVM_ENOSYS 1000

#define GFN_MAX (UINT64_MAX >> PAGE_SHIFT)

/* The host address of the guest frame in R9, or NULL. */
static void *frame_argument(const struct vcpu *vcpu)
{
	gfn_t gfn = vcpu->arch.gpr[R9];

	return gfn <= GFN_MAX ? vm_gpa_to_host(vcpu->vm, gfn << PAGE_SHIFT) : NULL;
}

static struct tmem_key key_argument(const struct vcpu *vcpu)
{
	const uint64_t *gpr = vcpu->arch.gpr;

	return (struct tmem_key){.oid = {gpr[RSI], gpr[RDX], gpr[RCX]}, .index = gpr[R8]};
}

static int64_t new_pool(struct vcpu *vcpu)
{
	const uint64_t *gpr = vcpu->arch.gpr;
	uint64_t uuid[2] = {gpr[RSI], gpr[RDX]};

	return tmem_pool_create(vcpu->vm->tmem, gpr[RDI], uuid);
}

static int64_t put_page(struct vcpu *vcpu)
{
	struct tmem_key key = key_argument(vcpu);
	const void *page = frame_argument(vcpu);

	if (!page)
		return -TIDEPOOL_EFAULT;
	return tmem_put(vcpu->vm->tmem, vcpu->arch.gpr[RDI], &key, page);
}

static int64_t get_page(struct vcpu *vcpu)
{
	struct tmem_key key = key_argument(vcpu);
	void *page = frame_argument(vcpu);

	if (!page)
		return -TIDEPOOL_EFAULT;
	return tmem_get(vcpu->vm->tmem, vcpu->arch.gpr[RDI], &key, page);
}

static int64_t flush_page(struct vcpu *vcpu)
{
	struct tmem_key key = key_argument(vcpu);

	return tmem_flush_page(vcpu->vm->tmem, vcpu->arch.gpr[RDI], &key);
}

static int64_t flush_object(struct vcpu *vcpu)
{
	const uint64_t *gpr = vcpu->arch.gpr;
	uint64_t oid[3] = {gpr[RSI], gpr[RDX], gpr[RCX]};

	return tmem_flush_object(vcpu->vm->tmem, gpr[RDI], oid);
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
	switch (call) {
	case TIDEPOOL_CALL(TIDEPOOL_OP_NULL):
		return TIDEPOOL_ABI_VERSION;
	case TIDEPOOL_CALL(TIDEPOOL_OP_PUT_PAGE):
		return put_page(vcpu);
	case TIDEPOOL_CALL(TIDEPOOL_OP_GET_PAGE):
		return get_page(vcpu);
	case TIDEPOOL_CALL(TIDEPOOL_OP_FLUSH_PAGE):
		return flush_page(vcpu);
	case TIDEPOOL_CALL(TIDEPOOL_OP_FLUSH_OBJECT):
		return flush_object(vcpu);
	case TIDEPOOL_CALL(TIDEPOOL_OP_NEW_POOL):
		return new_pool(vcpu);
	case TIDEPOOL_CALL(TIDEPOOL_OP_DESTROY_POOL):
		return tmem_pool_destroy(vcpu->vm->tmem, vcpu->arch.gpr[RDI]);
	case TIDEPOOL_CALL(TIDEPOOL_OP_QUERY):
		return query(vcpu);
	}
	if ((call & ~0xffffull) == TIDEPOOL_CALL_MAGIC)
		return -TIDEPOOL_ENOSYS;
	return -KVM_ENOSYS;
}

void hypercall_fast(struct vcpu *vcpu, unsigned int cpl)
{
	uint64_t *rax = &vcpu->arch.gpr[RAX];

	*rax = (uint64_t)(cpl ? -TIDEPOOL_EPERM : dispatch(vcpu, *rax));
}

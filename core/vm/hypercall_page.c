/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations on pages, objects and ranges, wherever their arguments came from. */
#include <tidepool/abi.h>
#include "core/vm/hypercall.h"
#include "core/vm/vm.h"
#include "tmem/tmem.h"

#define GFN_MAX (UINT64_MAX >> PAGE_SHIFT)

void *hypercall_frame(const struct vm *vm, uint64_t gfn)
{
	return gfn <= GFN_MAX ? vm_gpa_to_host(vm, gfn << PAGE_SHIFT) : NULL;
}

static int64_t put_page(struct vm *vm, const struct page_call *call)
{
	const void *page = hypercall_frame(vm, call->frame);

	if (!page)
		return -TIDEPOOL_EFAULT;
	return tmem_put(vm->tmem, call->pool, &call->key, page);
}

static int64_t get_page(struct vm *vm, const struct page_call *call)
{
	void *page = hypercall_frame(vm, call->frame);

	if (!page)
		return -TIDEPOOL_EFAULT;
	return tmem_get(vm->tmem, call->pool, &call->key, page);
}

int64_t hypercall_page(struct vm *vm, const struct page_call *call)
{
	switch (call->op) {
	case TIDEPOOL_OP_PUT_PAGE:
		return put_page(vm, call);
	case TIDEPOOL_OP_GET_PAGE:
		return get_page(vm, call);
	case TIDEPOOL_OP_FLUSH_PAGE:
		return tmem_flush_page(vm->tmem, call->pool, &call->key);
	case TIDEPOOL_OP_FLUSH_OBJECT:
		return tmem_flush_object(vm->tmem, call->pool, call->key.oid);
	default:
		return -TIDEPOOL_ENOSYS;
	}
}

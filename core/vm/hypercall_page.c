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

#define HUGE_FRAMES (TIDEPOOL_HUGE_SIZE / PAGE_SIZE)

/* The host address of 2 MiB of guest RAM from a frame on, or NULL. */
static void *huge_frame(const struct vm *vm, uint64_t gfn)
{
	return gfn % HUGE_FRAMES == 0 ? hypercall_frame(vm, gfn) : NULL;
}
_Static_assert(TIDEPOOL_HUGE_SIZE == BLOCK_SIZE, "guest RAM is in such blocks");

/* Operations on a whole page in a pool of order 9, or on a range of them. */
static int64_t huge_page(struct vm *vm, const struct page_call *call)
{
	void *page = NULL;

	if (call->op == TIDEPOOL_OP_PUT_PAGE || call->op == TIDEPOOL_OP_GET_PAGE) {
		page = huge_frame(vm, call->frame);
		if (!page)
			return -TIDEPOOL_EFAULT;
	}
	switch (call->op) {
	case TIDEPOOL_OP_GET_PAGE:
		return tmem_huge_get(vm->tmem, call->pool, &call->key, page, call->span);
	case TIDEPOOL_OP_FLUSH_PAGE:
		return tmem_huge_flush(vm->tmem, call->pool, &call->key);
	case TIDEPOOL_OP_FLUSH_RANGE:
		return tmem_huge_flush_range(vm->tmem, call->pool, call->key.oid, call->key.index,
					     call->frame);
	default: /* put, and new page */
		return tmem_huge_put(vm->tmem, call->pool, &call->key, page, call->span);
	}
}

static bool is_huge(struct vm *vm, const struct page_call *call)
{
	switch (call->op) {
	case TIDEPOOL_OP_PUT_PAGE:
	case TIDEPOOL_OP_GET_PAGE:
	case TIDEPOOL_OP_NEW_PAGE:
	case TIDEPOOL_OP_FLUSH_PAGE:
	case TIDEPOOL_OP_FLUSH_RANGE:
		return tmem_pool_is_huge(vm->tmem, call->pool);
	default:
		return false;
	}
}

static int64_t put_page(struct vm *vm, const struct page_call *call)
{
	const void *page = hypercall_frame(vm, call->frame);

	if (!page)
		return -TIDEPOOL_EFAULT;
	return tmem_put_then(vm->tmem, call->pool, &call->key, page, call->next);
}

static int64_t get_page(struct vm *vm, const struct page_call *call)
{
	void *page = hypercall_frame(vm, call->frame);

	if (!page)
		return -TIDEPOOL_EFAULT;
	return tmem_get(vm->tmem, call->pool, &call->key, page);
}

struct subpage_calls {
	int64_t (*read)(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
			const struct tmem_span *span, void *page);
	int64_t (*write)(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
			 const struct tmem_span *span, const void *data);
	int64_t (*exchange)(struct tmem_client *client, uint64_t pool, const struct tmem_key *key,
			    const struct tmem_span *span, void *data);
};

/* An operation on a part of a page: it and its frame are checked here for all of them. */
static int64_t subpage(struct vm *vm, const struct page_call *call)
{
	static const struct subpage_calls calls[] = {
		{tmem_read, tmem_write, tmem_exchange},
		{tmem_huge_read, tmem_huge_write, tmem_huge_exchange},
	};
	bool huge = tmem_pool_is_huge(vm->tmem, call->pool);
	void *page = hypercall_frame(vm, call->frame);
	struct tmem_span span;

	if (!tmem_span_parse(call->span, huge, &span))
		return -TIDEPOOL_EINVAL;
	if (!page)
		return -TIDEPOOL_EFAULT;
	switch (call->op) {
	case TIDEPOOL_OP_READ:
		return calls[huge].read(vm->tmem, call->pool, &call->key, &span, page);
	case TIDEPOOL_OP_WRITE:
		return calls[huge].write(vm->tmem, call->pool, &call->key, &span, page);
	default: /* TIDEPOOL_OP_XCHG */
		return calls[huge].exchange(vm->tmem, call->pool, &call->key, &span, page);
	}
}

int64_t hypercall_page(struct vm *vm, const struct page_call *call)
{
	if (is_huge(vm, call))
		return huge_page(vm, call);
	switch (call->op) {
	case TIDEPOOL_OP_PUT_PAGE:
		return put_page(vm, call);
	case TIDEPOOL_OP_GET_PAGE:
		return get_page(vm, call);
	case TIDEPOOL_OP_FLUSH_PAGE:
		return tmem_flush_page(vm->tmem, call->pool, &call->key);
	case TIDEPOOL_OP_FLUSH_OBJECT:
		return tmem_flush_object(vm->tmem, call->pool, call->key.oid);
	case TIDEPOOL_OP_FLUSH_RANGE:
		return tmem_flush_range(vm->tmem, call->pool, call->key.oid, call->key.index,
					call->frame);
	case TIDEPOOL_OP_NEW_PAGE:
		return tmem_new_page(vm->tmem, call->pool, &call->key);
	case TIDEPOOL_OP_READ:
	case TIDEPOOL_OP_WRITE:
	case TIDEPOOL_OP_XCHG:
		return subpage(vm, call);
	default:
		return -TIDEPOOL_ENOSYS;
	}
}

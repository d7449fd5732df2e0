/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hypercalls of docs/abi.md, as C functions.
 *
 * Each returns what RAX returned: >= 0 is success, < 0 one of -TIDEPOOL_E*, whose values are
 * Linux's own errno values but for TIDEPOOL_EFROZEN.
 * Context: any, interrupts on or off; no call sleeps or lasts longer than a bounded step.
 */
#ifndef TIDEPOOL_PV_HYPERCALL_H
#define TIDEPOOL_PV_HYPERCALL_H

#include <linux/mm.h>
#include <linux/types.h>
#include <asm/alternative.h>
#include <asm/cpufeatures.h>

#include <tidepool/abi.h>

#ifndef CONFIG_X86_64
#error "Tidepool's guests are x86-64"
#endif

/* The object of a pool that has just one: swap's, where only the index varies. */
#define TIDEPOOL_OID 0ul

/*
 * Linux patches the instruction while it loads the module: X86_FEATURE_VMMCALL is set on AMD's and
 * Hygon's processors, whether or not the guest sees SVM. The kernel's own KVM calls do the same.
 *
 * A get writes a page that no operand names, hence the memory clobber on every call.
 */
static __always_inline long tidepool_call(unsigned int op, unsigned long rdi, unsigned long rsi,
					  unsigned long rdx, unsigned long rcx, unsigned long r8_,
					  unsigned long r9_)
{
	register unsigned long r8 asm("r8") = r8_;
	register unsigned long r9 asm("r9") = r9_;
	long rax = TIDEPOOL_CALL(op);

	asm volatile(ALTERNATIVE("vmcall", "vmmcall", X86_FEATURE_VMMCALL)
		     : "+a"(rax)
		     : "D"(rdi), "S"(rsi), "d"(rdx), "c"(rcx), "r"(r8), "r"(r9)
		     : "memory");
	return rax;
}

/* A pool of 4 KiB pages; @flags: TIDEPOOL_POOL_*. Returns its id. See tidepool_pool_open(). */
static inline long tidepool_call_new_pool(unsigned long flags, u64 uuid_low, u64 uuid_high)
{
	return tidepool_call(TIDEPOOL_OP_NEW_POOL, flags | TIDEPOOL_POOL_VERSION, uuid_low,
			     uuid_high, 0, 0, 0);
}

/* One bounded step of a pool's destruction; -TIDEPOOL_EAGAIN asks for the next. */
static inline long tidepool_call_destroy_pool(unsigned long pool)
{
	return tidepool_call(TIDEPOOL_OP_DESTROY_POOL, pool, 0, 0, 0, 0, 0);
}

static inline long tidepool_call_put_page(unsigned long pool, unsigned long index,
					  struct page *page)
{
	return tidepool_call(TIDEPOOL_OP_PUT_PAGE, pool, TIDEPOOL_OID, TIDEPOOL_OID, TIDEPOOL_OID,
			     index, page_to_pfn(page));
}

static inline long tidepool_call_get_page(unsigned long pool, unsigned long index,
					  struct page *page)
{
	return tidepool_call(TIDEPOOL_OP_GET_PAGE, pool, TIDEPOOL_OID, TIDEPOOL_OID, TIDEPOOL_OID,
			     index, page_to_pfn(page));
}

/* Returns how many pages were dropped, 0 or 1. */
static inline long tidepool_call_flush_page(unsigned long pool, unsigned long index)
{
	return tidepool_call(TIDEPOOL_OP_FLUSH_PAGE, pool, TIDEPOOL_OID, TIDEPOOL_OID, TIDEPOOL_OID,
			     index, 0);
}

/*
 * A list of operations: @calls is aligned to 64 bytes and contiguous in guest-physical memory, of
 * the kernel's linear mapping. Returns how many are done.
 */
static inline long tidepool_call_vector(struct tidepool_descriptor *calls, unsigned int count,
					unsigned long flags)
{
	return tidepool_call(TIDEPOOL_OP_VECTOR, __pa(calls), count, flags, 0, 0, 0);
}

/*
 * All of a list, each operation for itself. Returns 0, or what ended it early: of the operations
 * behind that no result is written. None of them is a flush.
 */
static inline long tidepool_call_each(struct tidepool_descriptor *calls, unsigned int count)
{
	unsigned int done = 0;
	long result;

	while (done < count) {
		result = tidepool_call_vector(&calls[done], count - done, 0);
		if (result <= 0)
			return result ?: -TIDEPOOL_EINVAL;
		done += result;
	}
	return 0;
}

/* In the pools of blocks an object is (@id, @part, 0). Returns how many indices are done. */
static inline long tidepool_call_flush_range(unsigned long pool, u64 id, u64 part, u64 index,
					     u64 count)
{
	return tidepool_call(TIDEPOOL_OP_FLUSH_RANGE, pool, id, part, 0, index, count);
}

/* -TIDEPOOL_EAGAIN asks for the next step. */
static inline long tidepool_call_flush_object(unsigned long pool, u64 id, u64 part)
{
	return tidepool_call(TIDEPOOL_OP_FLUSH_OBJECT, pool, id, part, 0, 0, 0);
}

/* @pfn: of a block's first page. Both are repeated while they return -TIDEPOOL_EAGAIN. */
static inline long tidepool_call_give_block(unsigned long pfn)
{
	return tidepool_call(TIDEPOOL_OP_GIVE_BLOCK, pfn, 0, 0, 0, 0, 0);
}

static inline long tidepool_call_take_block(unsigned long pfn)
{
	return tidepool_call(TIDEPOOL_OP_TAKE_BLOCK, pfn, 0, 0, 0, 0, 0);
}

/* Returns the blocks that the hypervisor wants this guest to keep. */
static inline long tidepool_call_target(void)
{
	return tidepool_call(TIDEPOOL_OP_TARGET, 0, 0, 0, 0, 0, 0);
}

/* @pfn: of a page that begins with a struct tidepool_report, or TIDEPOOL_REPORT_NONE. */
static inline long tidepool_call_report(unsigned long pfn)
{
	return tidepool_call(TIDEPOOL_OP_REPORT, pfn, 0, 0, 0, 0, 0);
}

/* @which: TIDEPOOL_QUERY_*; the value is of the whole guest, all its pools together. */
static inline long tidepool_call_query(unsigned long which)
{
	return tidepool_call(TIDEPOOL_OP_QUERY, which, 0, 0, 0, 0, 0);
}

#endif

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

/*
 * A key in a pool. The driver has one object per pool, so only the index varies; the store hashes
 * index and object alike.
 */
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

/* A new private, persistent pool of 4 KiB pages. Returns its id. */
static inline long tidepool_call_new_pool(void)
{
	return tidepool_call(TIDEPOOL_OP_NEW_POOL, TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION,
			     0, 0, 0, 0, 0);
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

/* @which: TIDEPOOL_QUERY_*; the value is of the whole guest, all its pools together. */
static inline long tidepool_call_query(unsigned long which)
{
	return tidepool_call(TIDEPOOL_OP_QUERY, which, 0, 0, 0, 0, 0);
}

#endif

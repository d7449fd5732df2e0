/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls into Tidepool from a test guest; the ABI is include/tidepool/abi.h. */
#ifndef TESTS_GUEST_LIB_HYPERCALL_H
#define TESTS_GUEST_LIB_HYPERCALL_H

#include <stdbool.h>
#include <stdint.h>
#include <tidepool/abi.h>

/* Answer to a call that is not ours: what KVM gives to a number it does not know. */
#define NOT_OUR_CALL (-1000)

/* Every register of a call, before and behind it. hypercall_entry.S knows the order. */
struct call_regs {
	uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rflags;
};

struct page_key {
	uint64_t oid[3];
	uint64_t index;
};

/* tidepool_base - the first CPUID leaf of Tidepool, 0 when there is none */
uint32_t tidepool_base(void);

/* tidepool_require - ends the test with Skip when this is not a guest of Tidepool */
void tidepool_require(void);

/* cpu_is_amd - VMMCALL is this processor's way to the hypervisor, VMCALL everybody else's. */
bool cpu_is_amd(void);

/* hypercall_regs - a call with all registers chosen; overwritten with what they are afterwards */
void hypercall_regs(struct call_regs *regs);

/* hypercall - a call with up to six arguments. Returns RAX. */
int64_t hypercall(uint64_t op, uint64_t rdi, uint64_t rsi, uint64_t rdx, uint64_t rcx, uint64_t r8,
		  uint64_t r9);

/*
 * page_call - a call on a page, with an argument in R10 behind the frame: a span or a cookie
 * @page: in it, or to it; NULL: frame 0
 */
int64_t page_call(uint64_t op, uint64_t pool, const struct page_key *key, const void *page,
		  uint64_t r10);

/* The operations. Pages are 4 KiB-aligned; repeated calls (EAGAIN) are made inside. */
int64_t pool_new(uint64_t flags);
int64_t pool_destroy(uint64_t pool);
int64_t page_put(uint64_t pool, const struct page_key *key, const void *page);
int64_t page_get(uint64_t pool, const struct page_key *key, void *page);
int64_t page_flush(uint64_t pool, const struct page_key *key);
int64_t object_flush(uint64_t pool, const struct page_key *key);
int64_t query(uint64_t what);

#endif

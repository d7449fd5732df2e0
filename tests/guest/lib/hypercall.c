/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds Tidepool and calls it. */
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

#define CPUID_1_ECX_HYPERVISOR (1u << 31)
#define EBX_AUTHENTIC_AMD      0x68747541u /* "Auth" of leaf 0 */
#define EBX_HYGON_GENUINE      0x6f677948u /* "Hygo" */
#define SIGNATURE_BYTES	       12

void call_vmcall(struct call_regs *regs);
void call_vmmcall(struct call_regs *regs);

uint32_t tidepool_base(void)
{
	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR))
		return 0;
	for (uint32_t leaf = TIDEPOOL_CPUID_FIRST; leaf < TIDEPOOL_CPUID_LAST;
	     leaf += TIDEPOOL_CPUID_STEP) {
		struct cpuid_regs regs = cpuid(leaf, 0);
		uint32_t signature[] = {regs.ebx, regs.ecx, regs.edx};

		if (memcmp(signature, TIDEPOOL_CPUID_SIGNATURE, SIGNATURE_BYTES) == 0)
			return leaf;
	}
	return 0;
}

void tidepool_require(void)
{
	if (tidepool_base())
		return;
	test_skip("this is no guest of Tidepool");
	test_finish();
}

bool cpu_is_amd(void)
{
	static enum { UNKNOWN, INTEL, AMD } vendor; /* CPUID is an exit: asked once */

	if (vendor == UNKNOWN) {
		uint32_t ebx = cpuid(0, 0).ebx;

		vendor = ebx == EBX_AUTHENTIC_AMD || ebx == EBX_HYGON_GENUINE ? AMD : INTEL;
	}
	return vendor == AMD;
}

void hypercall_regs(struct call_regs *regs)
{
	if (cpu_is_amd())
		call_vmmcall(regs);
	else
		call_vmcall(regs);
}

int64_t hypercall(uint64_t op, uint64_t rdi, uint64_t rsi, uint64_t rdx, uint64_t rcx, uint64_t r8,
		  uint64_t r9)
{
	struct call_regs regs = {.rax = TIDEPOOL_CALL(op),
				 .rdi = rdi,
				 .rsi = rsi,
				 .rdx = rdx,
				 .rcx = rcx,
				 .r8 = r8,
				 .r9 = r9,
				 .rflags = read_flags()};

	hypercall_regs(&regs);
	return (int64_t)regs.rax;
}

int64_t page_call(uint64_t op, uint64_t pool, const struct page_key *key, const void *page,
		  uint64_t r10)
{
	struct call_regs regs = {.rax = TIDEPOOL_CALL(op),
				 .rdi = pool,
				 .rsi = key->oid[0],
				 .rdx = key->oid[1],
				 .rcx = key->oid[2],
				 .r8 = key->index,
				 .r9 = (uint64_t)page / TIDEPOOL_PAGE_SIZE,
				 .r10 = r10,
				 .rflags = read_flags()};

	hypercall_regs(&regs);
	return (int64_t)regs.rax;
}

static int64_t key_call(uint64_t op, uint64_t pool, const struct page_key *key, const void *page)
{
	return page_call(op, pool, key, page, 0);
}

int64_t pool_new(uint64_t flags)
{
	return hypercall(TIDEPOOL_OP_NEW_POOL, flags, 0, 0, 0, 0, 0);
}

int64_t pool_destroy(uint64_t pool)
{
	int64_t err;

	do {
		err = hypercall(TIDEPOOL_OP_DESTROY_POOL, pool, 0, 0, 0, 0, 0);
	} while (err == -TIDEPOOL_EAGAIN);
	return err;
}

int64_t page_put(uint64_t pool, const struct page_key *key, const void *page)
{
	return key_call(TIDEPOOL_OP_PUT_PAGE, pool, key, page);
}

int64_t page_get(uint64_t pool, const struct page_key *key, void *page)
{
	return key_call(TIDEPOOL_OP_GET_PAGE, pool, key, page);
}

int64_t page_flush(uint64_t pool, const struct page_key *key)
{
	return key_call(TIDEPOOL_OP_FLUSH_PAGE, pool, key, NULL);
}

int64_t object_flush(uint64_t pool, const struct page_key *key)
{
	int64_t err;

	do {
		err = key_call(TIDEPOOL_OP_FLUSH_OBJECT, pool, key, NULL);
	} while (err == -TIDEPOOL_EAGAIN);
	return err;
}

int64_t query(uint64_t what)
{
	return hypercall(TIDEPOOL_OP_QUERY, what, 0, 0, 0, 0, 0);
}

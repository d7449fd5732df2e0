/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/cpu/lz4_host.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/percpu.h"
#include "core/panic.h"

/* Where programs' stack guard is: System V ABI for AMD64, as GCC and glibc use it. */
#define GUARD_OFFSET 0x28u

extern uint64_t __stack_chk_guard;

/*
 * By the MSR: the instructions for it need CR4.FSGSBASE, which not every CPU has, and this is a
 * few hundred ticks beside the thousands of a page.
 */
uint64_t lz4_host_enter(void)
{
	uint64_t fs_base = rdmsr(MSR_FS_BASE);

	wrmsr(MSR_FS_BASE, (uintptr_t)&__stack_chk_guard - GUARD_OFFSET);
	return fs_base;
}

void lz4_host_leave(uint64_t fs_base)
{
	wrmsr(MSR_FS_BASE, fs_base);
}

void *lz4_host_state(void)
{
	return percpu_lz4_state(this_cpu());
}

void lz4_host_damaged(void)
{
	panic("a compressed page is damaged");
}

/*
 * The library's object wants these, for functions that nobody here calls. Without memory those
 * fail as they would anywhere.
 */
void *calloc(uint64_t count, uint64_t size);
void free(void *memory);

void *calloc(uint64_t count, uint64_t size)
{
	(void)count;
	(void)size;
	return NULL;
}

void free(void *memory)
{
	BUG_ON(memory);
}

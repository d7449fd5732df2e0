/* SPDX-License-Identifier: BSD-2-Clause */
/* What arch/x86_64/cpu/lz4.c needs, for ordinary programs: FS is what the library expects. */
#include <stdio.h>
#include <stdlib.h>

#include "arch/x86_64/cpu/lz4.h"
#include "arch/x86_64/cpu/lz4_host.h"

uint64_t lz4_host_enter(void)
{
	return 0;
}

void lz4_host_leave(uint64_t fs_base)
{
	(void)fs_base;
}

void *lz4_host_state(void)
{
	static __thread char state[LZ4_STATE_SIZE] __attribute__((aligned(8)));

	return state;
}

void lz4_host_damaged(void)
{
	fprintf(stderr, "a compressed page is damaged\n");
	abort();
}

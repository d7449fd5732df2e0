/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/time.h"
#include "arch/x86_64/cpu/cpu.h"

uint32_t tsc_khz;

uint64_t time_ticks(void)
{
	return rdtsc();
}

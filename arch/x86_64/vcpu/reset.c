/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a processor looks like when it has just been switched on.
 * Documents: SDM vol. 3A, "Processor Management and Initialization", table 9-1.
 */
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/virt.h"

#define RESET_RIP     0xfff0u
#define RESET_RFLAGS  BIT(1)
#define RESET_CR0     0x60000010ull /* CD, NW, ET */
#define RESET_CS      0xf000u
#define RESET_CS_BASE 0xffff0000ull
#define RESET_LIMIT   0xffffu

void vcpu_state_reset(struct vcpu_state *state)
{
	const struct vcpu_segment data = {.attr = SEGMENT_ATTR_DATA16, .limit = RESET_LIMIT};

	*state = (struct vcpu_state){
		.rip = RESET_RIP,
		.rflags = RESET_RFLAGS,
		.cr0 = RESET_CR0,
		.seg =
			{
				[SEG_ES] = data,
				[SEG_CS] = {.selector = RESET_CS,
					    .attr = SEGMENT_ATTR_CODE16,
					    .limit = RESET_LIMIT,
					    .base = RESET_CS_BASE},
				[SEG_SS] = data,
				[SEG_DS] = data,
				[SEG_FS] = data,
				[SEG_GS] = data,
				[SEG_LDTR] = {.attr = SEGMENT_ATTR_LDT, .limit = RESET_LIMIT},
				[SEG_TR] = {.attr = SEGMENT_ATTR_TSS64, .limit = RESET_LIMIT},
			},
		.gdtr = {.limit = RESET_LIMIT},
		.idtr = {.limit = RESET_LIMIT},
	};
}

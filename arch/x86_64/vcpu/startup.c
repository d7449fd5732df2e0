/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INIT and start-up, as a running processor sees them
 * Documents: SDM vol. 3A, "Processor Management and Initialization", table 9-1; "MP Initialization
 * Protocol Algorithm"; APM vol. 2, table 14-1 (EFER).
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vcpu/cpuid.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/virt.h"
#include "core/string.h"
#include "core/vm/vcpu.h"

#define CR0_CACHE	   (CR0_CD | CR0_NW)
#define PAGE_TO_SELECTOR   8 /* a page's number to the paragraph's */
#define CPUID_LEAF_VERSION 1

void vcpu_init_signal(struct vcpu *vcpu)
{
	struct vcpu_state state;
	struct vcpu_paging before;

	virt->get_paging(vcpu, &before);
	vcpu_state_reset(&state);
	state.cr0 = (state.cr0 & ~(uint64_t)CR0_CACHE) | (before.cr0 & CR0_CACHE);
	virt->set_state(vcpu, &state);
	memset(vcpu->arch.gpr, 0, sizeof(vcpu->arch.gpr));
	vcpu->arch.gpr[RDX] = cpuid_guest_bits(CPUID_LEAF_VERSION, 0).eax;
}

void vcpu_startup(struct vcpu *vcpu, uint8_t page)
{
	struct vcpu_state state;

	virt->get_state(vcpu, &state);
	state.seg[SEG_CS].selector = (uint16_t)(page << PAGE_TO_SELECTOR);
	state.seg[SEG_CS].base = (uint64_t)page << PAGE_SHIFT;
	state.rip = 0;
	virt->set_state(vcpu, &state);
}

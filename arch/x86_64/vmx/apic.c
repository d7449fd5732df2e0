/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts that the processor delivers by itself
 *
 * In x2APIC mode, on CPUs with virtual-interrupt delivery: the guest reads and writes TPR, ends its
 * interrupts, and sends itself some without an exit, and what waits is delivered as soon as it may
 * be, without interrupt-window exits. New interrupts are put into the virtual-APIC page before an
 * entry; a vCPU that runs is made to exit for that. Ends of level-triggered interrupts exit, for
 * the I/O APIC's sake.
 *
 * Posted interrupts, which save that exit, are not used: nothing that this could be tested on has
 * them.
 *
 * Documents: SDM vol. 3C, "APIC Virtualization and Virtual Interrupts".
 */
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/vmx/insn.h"
#include "arch/x86_64/vmx/vmx.h"
#include "core/errno.h"
#include "core/frames.h"

#define OFFSET_SELF_IPI 0x3f0

int apic_vcpu_init(struct vcpu *vcpu)
{
	void *page;

	if (!vmx_config.has_apicv || virt_apicv_off)
		return 0;
	page = frame_alloc();
	if (!page)
		return -ENOMEM;
	vmx_of(vcpu)->apic_page = (uint64_t)page;
	return 0;
}

void apic_vcpu_free(struct vcpu *vcpu)
{
	if (vmx_of(vcpu)->apic_page)
		frame_free((void *)vmx_of(vcpu)->apic_page);
	vmx_of(vcpu)->apic_page = 0;
}

static void switch_controls(struct vcpu *vcpu, bool on)
{
	uint64_t secondary = vmx_config.word[WORD_SECONDARY];

	event_switch_primary(vcpu, PRIMARY_TPR_SHADOW, on);
	vmwrite(VMCS_SECONDARY_CONTROLS, on ? secondary | APICV_CONTROLS : secondary);
	vmwrite(VMCS_MSR_BITMAP, vmcs_msr_bitmap(on));
}

uint32_t *vmx_apic_direct(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (!vmx->apic_page)
		return NULL;
	vmwrite(VMCS_VIRTUAL_APIC, virt_to_phys((void *)vmx->apic_page));
	vmwrite(VMCS_TPR_THRESHOLD, 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(vmx->eoi_exits); i++) {
		vmx->eoi_exits[i] = 0;
		vmwrite(VMCS_EOI_EXITS + 2 * i, 0);
	}
	switch_controls(vcpu, true);
	return (uint32_t *)vmx->apic_page;
}

void vmx_apic_indirect(struct vcpu *vcpu)
{
	switch_controls(vcpu, false);
}

/* Level-triggered vectors exit at their end, all others do not. */
static void set_eoi_exits(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	for (uint32_t i = 0; i < ARRAY_SIZE(vmx->eoi_exits); i++) {
		const uint32_t *tmr = &vcpu->lapic.tmr[2 * i];
		uint64_t exits = __atomic_load_n(&tmr[0], __ATOMIC_RELAXED) |
				 (uint64_t)__atomic_load_n(&tmr[1], __ATOMIC_RELAXED) << 32;

		if (vmx->eoi_exits[i] != exits) {
			vmx->eoi_exits[i] = exits;
			vmwrite(VMCS_EOI_EXITS + 2 * i, exits);
		}
	}
}

void vmx_apic_update(struct vcpu *vcpu)
{
	uint16_t status;

	if (!lapic_update_page(&vcpu->lapic, &status))
		return;
	vmwrite(VMCS_GUEST_INTERRUPT_STATUS, status);
	set_eoi_exits(vcpu);
}

/* Of the writes that do not exit, only one is left to us: an interrupt to oneself, a bad vector. */
enum exit_kind apic_decode_write(struct vcpu *vcpu)
{
	const uint32_t *page = vcpu->lapic.page;

	if (!page || vmread(VMCS_EXIT_QUALIFICATION) != OFFSET_SELF_IPI)
		return EXIT_UNHANDLED;
	lapic_raise(vcpu, (uint8_t)page[OFFSET_SELF_IPI / sizeof(*page)], false);
	return EXIT_NONE;
}

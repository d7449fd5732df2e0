/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's registers in the current control block
 *
 * Documents: SDM vol. 3C, "Guest Register State", "Guest Non-Register State", and the checks of
 * both in "Checking and Loading Guest State".
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vmx/insn.h"
#include "arch/x86_64/vmx/vmx.h"

/* Segment fields follow each other in the order of enum segment. */
#define OF_SEGMENT(field, seg) ((uint32_t)(field) + 2u * (uint32_t)(seg))

#define ACTIVITY_ACTIVE 0
#define NO_LINK		UINT64_MAX

void vmcs_write_reset_state(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmwrite(VMCS_LINK_POINTER, NO_LINK);
	vmwrite(VMCS_GUEST_DEBUGCTL, 0);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	vmwrite(VMCS_GUEST_DR7, DR7_RESET);
	vmwrite(VMCS_GUEST_RSP, 0);
	vmwrite(VMCS_GUEST_SYSENTER_CS, 0);
	vmwrite(VMCS_GUEST_SYSENTER_ESP, 0);
	vmwrite(VMCS_GUEST_SYSENTER_EIP, 0);
	vmwrite(VMCS_ENTRY_EVENT, 0);
	vmx->rsp = 0;
	vmx->dr6 = DR6_RESET;
}

void vmx_get_state(struct vcpu *vcpu, struct vcpu_state *state)
{
	(void)vcpu;
	state->rip = vmread(VMCS_GUEST_RIP);
	state->rflags = vmread(VMCS_GUEST_RFLAGS);
	state->cr0 = cr_read0();
	state->cr3 = vmread(VMCS_GUEST_CR3);
	state->cr4 = cr_read4();
	state->efer = vmread(VMCS_GUEST_EFER);
	for (enum segment seg = 0; seg < SEG_COUNT; seg++)
		state->seg[seg] = (struct vcpu_segment){
			.selector = (uint16_t)vmread(OF_SEGMENT(VMCS_GUEST_SELECTOR, seg)),
			.attr = vmread32(OF_SEGMENT(VMCS_GUEST_ATTR, seg)),
			.limit = vmread32(OF_SEGMENT(VMCS_GUEST_LIMIT, seg)),
			.base = vmread(OF_SEGMENT(VMCS_GUEST_BASE, seg)),
		};
	state->gdtr.base = vmread(VMCS_GUEST_GDTR_BASE);
	state->gdtr.limit = (uint16_t)vmread(VMCS_GUEST_GDTR_LIMIT);
	state->idtr.base = vmread(VMCS_GUEST_IDTR_BASE);
	state->idtr.limit = (uint16_t)vmread(VMCS_GUEST_IDTR_LIMIT);
}

/*
 * What is queued for the guest, or blocks interrupts, belongs to the state before and is dropped. A
 * state with PAE paging on is not for this function: nobody starts a guest in it.
 */
void vmx_set_state(struct vcpu *vcpu, const struct vcpu_state *state)
{
	vmwrite(VMCS_GUEST_RIP, state->rip);
	vmwrite(VMCS_GUEST_RFLAGS, state->rflags | RFLAGS_RESERVED);
	cr_set0(state->cr0);
	vmwrite(VMCS_GUEST_CR3, state->cr3);
	cr_set4(vcpu, state->cr4);
	cr_set_long_mode(state->efer, state->cr0 & CR0_PG);
	for (enum segment seg = 0; seg < SEG_COUNT; seg++) {
		vmwrite(OF_SEGMENT(VMCS_GUEST_SELECTOR, seg), state->seg[seg].selector);
		vmwrite(OF_SEGMENT(VMCS_GUEST_ATTR, seg), state->seg[seg].attr);
		vmwrite(OF_SEGMENT(VMCS_GUEST_LIMIT, seg), state->seg[seg].limit);
		vmwrite(OF_SEGMENT(VMCS_GUEST_BASE, seg), state->seg[seg].base);
	}
	vmwrite(VMCS_GUEST_GDTR_BASE, state->gdtr.base);
	vmwrite(VMCS_GUEST_GDTR_LIMIT, state->gdtr.limit);
	vmwrite(VMCS_GUEST_IDTR_BASE, state->idtr.base);
	vmwrite(VMCS_GUEST_IDTR_LIMIT, state->idtr.limit);
	vmwrite(VMCS_GUEST_DR7, DR7_RESET);
	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
	event_switch_primary(vcpu, PRIMARY_NMI_WINDOW, false);
	vcpu->arch.event = 0;
	if (vmx_of(vcpu)->vpid) /* no translation of the state before may be met */
		invvpid(VMX_INVALIDATE_SINGLE, (uint16_t)vmx_of(vcpu)->vpid);
}

bool vmx_is_64bit_mode(void)
{
	return vmread(VMCS_GUEST_EFER) & EFER_LMA && vmread32(VMCS_GUEST_CS_ATTR) & ATTR_LONG;
}

unsigned int vmx_get_cpl(void)
{
	return (vmread32(VMCS_GUEST_SS_ATTR) & ATTR_DPL) >> ATTR_DPL_SHIFT;
}

void vmx_get_paging(struct vcpu *vcpu, struct vcpu_paging *paging)
{
	(void)vcpu;
	*paging = (struct vcpu_paging){
		.rip = vmread(VMCS_GUEST_RIP),
		.rflags = vmread(VMCS_GUEST_RFLAGS),
		.cr0 = cr_read0(),
		.cr3 = vmread(VMCS_GUEST_CR3),
		.cr4 = cr_read4(),
		.efer = vmread(VMCS_GUEST_EFER),
		.cs_base = vmread(VMCS_GUEST_CS_BASE),
		.cs_attr = vmread32(VMCS_GUEST_CS_ATTR),
		.cpl = (uint8_t)vmx_get_cpl(),
	};
}

void vmx_set_efer(struct vcpu *vcpu, uint64_t efer)
{
	(void)vcpu;
	cr_set_long_mode(efer, vmread(VMCS_GUEST_CR0) & CR0_PG);
}

uint64_t vmx_get_efer(struct vcpu *vcpu)
{
	(void)vcpu;
	return vmread(VMCS_GUEST_EFER);
}

uint64_t vmx_get_base(struct vcpu *vcpu, enum segment seg)
{
	(void)vcpu;
	return vmread(OF_SEGMENT(VMCS_GUEST_BASE, seg));
}

void vmx_set_base(struct vcpu *vcpu, enum segment seg, uint64_t base)
{
	(void)vcpu;
	vmwrite(OF_SEGMENT(VMCS_GUEST_BASE, seg), base);
}

/*
 * With RFLAGS.TF the end of an instruction also raises the single-step trap. The guest's DEBUGCTL
 * is always 0, so TF never means branches.
 */
void vmx_end_shadow(void)
{
	uint32_t blocking = vmread32(VMCS_GUEST_INTERRUPTIBILITY);

	if (blocking & INTERRUPTIBILITY_SHADOW)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking & ~(uint32_t)INTERRUPTIBILITY_SHADOW);
	if (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF)
		vmwrite(VMCS_GUEST_PENDING_DEBUG, vmread(VMCS_GUEST_PENDING_DEBUG) | DEBUG_BS);
}

void vmx_end_step(struct vcpu *vcpu)
{
	(void)vcpu;
	vmx_end_shadow();
}

void vmx_set_rflags(struct vcpu *vcpu, uint64_t rflags)
{
	(void)vcpu;
	vmwrite(VMCS_GUEST_RFLAGS, rflags);
}

void vmx_skip_insn(struct vcpu *vcpu, unsigned int len)
{
	uint64_t from = vmread(VMCS_GUEST_RIP);
	uint64_t to = from + (len ? len : vmread32(VMCS_EXIT_INSN_LEN));

	(void)vcpu;
	/* EIP wraps; left as it is, the next entry would fail. */
	if ((from ^ to) >> 32 && !vmx_is_64bit_mode())
		to = (uint32_t)to;
	vmwrite(VMCS_GUEST_RIP, to);
	vmx_end_shadow();
}

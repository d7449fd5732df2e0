/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions and interrupts into the guest
 *
 * At most one event waits in arch.event, in VMX's own format, until the next entry delivers it. If
 * an exit breaks its delivery off, event_requeue() puts it back.
 *
 * Documents: SDM vol. 3C, "Event Injection", "Information for VM Exits That Occur During Event
 * Delivery"; vol. 3A, "Interrupt 8-Double Fault Exception (#DF)", table 6-5.
 */
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/vmx/insn.h"
#include "arch/x86_64/vmx/vmx.h"
#include "core/errno.h"

#define EVENT_KEPT (EVENT_VECTOR | EVENT_TYPE | EVENT_ERROR_CODE | EVENT_VALID)

static void take_event(struct vcpu *vcpu, uint32_t info, uint32_t error_field,
		       uint32_t length_field)
{
	vcpu->arch.event = info & EVENT_KEPT;
	if (info & EVENT_ERROR_CODE)
		vcpu->arch.event_error = vmread32(error_field);
	/* Only software events need it, and only for them is the field defined. */
	if ((info & EVENT_TYPE) >= EVENT_TYPE_SOFT_INT)
		vmx_of(vcpu)->event_length = vmread32(length_field);
}

void event_requeue(struct vcpu *vcpu)
{
	uint32_t info = vmread32(VMCS_VECTORING_EVENT);

	if (!(info & EVENT_VALID))
		return;
	take_event(vcpu, info, VMCS_VECTORING_EVENT_ERROR, VMCS_EXIT_INSN_LEN);
	/* An NMI that was not delivered blocks none: not its own second try either. */
	if ((info & EVENT_TYPE) == EVENT_TYPE_NMI)
		vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
			vmread32(VMCS_GUEST_INTERRUPTIBILITY) & ~(uint32_t)INTERRUPTIBILITY_NMI);
}

void event_reinject_exit(struct vcpu *vcpu)
{
	take_event(vcpu, vmread32(VMCS_EXIT_EVENT), VMCS_EXIT_EVENT_ERROR, VMCS_EXIT_INSN_LEN);
}

void event_take_back(struct vcpu *vcpu)
{
	uint32_t info = vmread32(VMCS_ENTRY_EVENT);

	if (info & EVENT_VALID)
		take_event(vcpu, info, VMCS_ENTRY_EVENT_ERROR, VMCS_ENTRY_EVENT_INSN_LEN);
	vmwrite(VMCS_ENTRY_EVENT, 0);
}

/* The processor clears the field's valid bit at the exit. */
void event_enter(struct vcpu *vcpu)
{
	uint32_t event = (uint32_t)vcpu->arch.event;

	if (!event)
		return;
	if (event & EVENT_ERROR_CODE)
		vmwrite(VMCS_ENTRY_EVENT_ERROR, vcpu->arch.event_error);
	if ((event & EVENT_TYPE) >= EVENT_TYPE_SOFT_INT)
		vmwrite(VMCS_ENTRY_EVENT_INSN_LEN, vmx_of(vcpu)->event_length);
	vmwrite(VMCS_ENTRY_EVENT, event);
	vcpu->arch.event = 0;
}

/* Those that together with another of them, or with #PF, make a double fault. */
static bool is_contributory(uint32_t vector)
{
	return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

/* Does @second, raised while @first was delivered, end in a double fault? (table 6-5) */
static bool makes_double_fault(uint32_t first, uint32_t second)
{
	if (is_contributory(first))
		return is_contributory(second);
	return first == VECTOR_PF && (second == VECTOR_PF || is_contributory(second));
}

/*
 * Where an exception already waits, its delivery had failed, and both become what table 6-5 says.
 * An exception while #DF waits would be a shutdown; it is left at #DF, whose own failure the
 * processor then reports as a triple fault. An interrupt that waits is lost to the exception, as in
 * hardware.
 */
void vmx_inject_exception(struct vcpu *vcpu, uint8_t vector, int64_t error_code)
{
	struct arch_vcpu *arch = &vcpu->arch;
	uint32_t queued = (uint32_t)arch->event;

	if (queued & EVENT_VALID && (queued & EVENT_TYPE) == EVENT_TYPE_EXCEPTION) {
		uint32_t first = queued & EVENT_VECTOR;

		if (first == VECTOR_DF)
			return;
		if (makes_double_fault(first, vector)) {
			vector = VECTOR_DF;
			error_code = 0;
		}
	}
	if (vector == VECTOR_PF)
		write_cr2(arch->cr2);
	arch->event = EVENT_VALID | EVENT_TYPE_EXCEPTION | vector;
	/* Real mode pushes no error codes, and the processor refuses one there. */
	if (error_code >= 0 && vmread(VMCS_GUEST_CR0) & CR0_PE) {
		arch->event |= EVENT_ERROR_CODE;
		arch->event_error = (uint32_t)error_code;
	}
}

bool vmx_irq_ready(struct vcpu *vcpu)
{
	return !vcpu->arch.event && vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF &&
	       !(vmread32(VMCS_GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_SHADOW);
}

void vmx_inject_irq(struct vcpu *vcpu, uint8_t vector)
{
	vcpu->arch.event = EVENT_VALID | EVENT_TYPE_INTERRUPT | vector;
}

void event_switch_primary(struct vcpu *vcpu, unsigned int control, bool on)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t primary = vmx->primary & ~BIT(control);

	if (on)
		primary |= BIT(control);
	if (primary != vmx->primary) {
		vmx->primary = primary;
		vmwrite(VMCS_PRIMARY_CONTROLS, primary);
	}
}

void vmx_irq_window(struct vcpu *vcpu, bool on)
{
	event_switch_primary(vcpu, PRIMARY_INTERRUPT_WINDOW, on);
}

/* The processor itself keeps account of who blocks NMIs, from the delivery to the IRET. */
int vmx_inject_nmi(struct vcpu *vcpu)
{
	bool ready = !vcpu->arch.event && !(vmread32(VMCS_GUEST_INTERRUPTIBILITY) &
					    (INTERRUPTIBILITY_NMI | INTERRUPTIBILITY_SHADOW));

	event_switch_primary(vcpu, PRIMARY_NMI_WINDOW, !ready);
	if (!ready)
		return -EBUSY;
	vcpu->arch.event = EVENT_VALID | EVENT_TYPE_NMI | VECTOR_NMI;
	return 0;
}

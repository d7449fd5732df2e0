/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events into the guest: EVENTINJ delivers one at the next VMRUN; a virtual interrupt that is never
 * delivered, only intercepted, tells when the guest can take the next.
 *
 * Documents: APM vol. 2, 15.20 "Event Injection", 15.21 "Interrupt and Local APIC Support",
 * 15.7.2 "EXITINTINFO".
 */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu/cpu.h"
#include "core/errno.h"

void svm_end_step(struct vcpu *vcpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->control.interrupt_shadow = 0;
	if (vmcb->save.rflags & RFLAGS_TF) {
		vmcb->save.dr6 |= DR6_BS;
		svm_inject_exception(vcpu, VECTOR_DB, -1);
	}
}

void svm_skip_insn(struct vcpu *vcpu, unsigned int len)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	if (len)
		vmcb->save.rip += len;
	else
		vmcb->save.rip = svm_of(vcpu)->next_rip;
	svm_end_step(vcpu); /* a single-step trap is due when the instruction is over */
}

/*
 * Where an event is queued already, the exception takes its place: queued are only events whose
 * delivery met this exception, and what we inject then (#DB, #AC) is of the class that replaces
 * (APM vol. 2, table 8-5 "Simultaneous Interrupts").
 */
void svm_inject_exception(struct vcpu *vcpu, uint8_t vector, int64_t error_code)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	uint64_t event = EVENT_VALID | EVENT_TYPE_EXCEPTION | vector;

	/* Real mode pushes no error codes. */
	if (error_code >= 0 && vmcb->save.cr0 & CR0_PE)
		event |= EVENT_ERROR_VALID | (uint64_t)error_code << EVENT_ERROR_SHIFT;
	if (vector == VECTOR_PF) {
		vmcb->save.cr2 = vcpu->arch.cr2;
		svm_write_cr2(vcpu);
	}
	vmcb->control.event_inj = event;
}

bool svm_irq_ready(struct vcpu *vcpu)
{
	const struct vmcb *vmcb = vmcb_of(vcpu);

	return vmcb->save.rflags & RFLAGS_IF &&
	       !(vmcb->control.interrupt_shadow & INTERRUPT_SHADOW) &&
	       !(vmcb->control.event_inj & EVENT_VALID);
}

void svm_inject_irq(struct vcpu *vcpu, uint8_t vector)
{
	vmcb_of(vcpu)->control.event_inj = EVENT_VALID | EVENT_TYPE_INTR | vector;
}

/* The intercept of VINTR is always on; V_IRQ alone decides. Its vector is never looked at. */
void svm_irq_window(struct vcpu *vcpu, bool on)
{
	struct vmcb_control *control = &vmcb_of(vcpu)->control;

	if (on)
		control->int_control |= (uint32_t)(V_IRQ | V_INTR_PRIO_MAX | V_IGN_TPR);
	else
		control->int_control &= (uint32_t) ~(V_IRQ | V_INTR_PRIO_MAX | V_IGN_TPR);
}

void svm_begin_iret(struct vcpu *vcpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);

	vmcb->control.intercept3 &= (uint32_t)~INTERCEPT_IRET;
	svm_of(vcpu)->nmi = NMI_IRET;
	svm_of(vcpu)->nmi_iret = vmcb->save.rip;
}

void svm_reset_nmi(struct vcpu *vcpu)
{
	vmcb_of(vcpu)->control.intercept3 &= (uint32_t)~INTERCEPT_IRET;
	svm_of(vcpu)->nmi = NMI_OPEN;
}

/*
 * Whether the IRET is over is looked at only here, by RIP: then its exit costs nothing else, and at
 * worst the guest stands at the same place again, and the NMI waits for the next try.
 */
int svm_inject_nmi(struct vcpu *vcpu)
{
	struct vmcb *vmcb = vmcb_of(vcpu);
	struct svm_vcpu *svm = svm_of(vcpu);

	if (svm->nmi == NMI_HANDLER) /* until the IRET exits, which is soon enough */
		return -EBUSY;
	if (svm->nmi == NMI_IRET && vmcb->save.rip == svm->nmi_iret)
		return -EAGAIN;
	if (vmcb->control.interrupt_shadow & INTERRUPT_SHADOW ||
	    vmcb->control.event_inj & EVENT_VALID)
		return -EAGAIN;
	vmcb->control.event_inj = EVENT_VALID | EVENT_TYPE_NMI | VECTOR_NMI;
	vmcb->control.intercept3 |= (uint32_t)INTERCEPT_IRET;
	svm->nmi = NMI_HANDLER;
	return 0;
}

/*
 * INT n, INT3 and INTO are not queued: the guest's RIP still points at the instruction, which
 * makes the event again.
 */
void svm_requeue_event(struct vcpu *vcpu)
{
	struct vmcb_control *control = &vmcb_of(vcpu)->control;
	uint64_t event = control->exit_int_info;
	uint64_t vector = event & EVENT_VECTOR;
	bool by_instruction = (event & EVENT_TYPE) == EVENT_TYPE_SOFTWARE ||
			      ((event & EVENT_TYPE) == EVENT_TYPE_EXCEPTION &&
			       (vector == VECTOR_BP || vector == VECTOR_OF));

	control->event_inj = event & EVENT_VALID && !by_instruction ? event : 0;
}

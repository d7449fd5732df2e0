/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's local APIC, in software: xAPIC (MMIO) and x2APIC (MSR) modes, TSC-deadline, one-shot
 * and periodic timer.
 * Documents: SDM vol. 3A chapter "Advanced Programmable Interrupt Controller (APIC)".
 */
#ifndef CORE_DEV_LAPIC_H
#define CORE_DEV_LAPIC_H

#include "core/types.h"

struct vcpu;

struct lapic {
	uint64_t base_msr; /* IA32_APIC_BASE */
	uint32_t id;	   /* x2APIC id */
	uint32_t tpr, svr, ldr, dfr, esr, esr_shadow;
	uint32_t lvt[7]; /* CMCI, timer, thermal, performance, LINT0, LINT1, error: see lapic.c */
	uint64_t icr;
	uint32_t timer_initial, timer_divide;
	uint64_t timer_deadline; /* host TSC of the next timer interrupt; TIME_NEVER: none */
	uint64_t tsc_deadline;	 /* guest's IA32_TSC_DEADLINE */
	uint32_t isr[8], tmr[8];
	uint32_t irr[8];     /* atomic: any CPU sets bits */
	bool init_pending;   /* atomic, with sipi_vector: from other vCPUs */
	int16_t sipi_vector; /* -1: none */
};

/* lapic_reset - power-on (or INIT) state of vCPU @id. */
void lapic_reset(struct lapic *lapic, uint32_t id);

/* lapic_raise - an interrupt for this vCPU; sets IRR, (level: TMR), kicks. Context: any CPU. */
void lapic_raise(struct vcpu *vcpu, uint8_t vector, bool level);

/*
 * lapic_pending - the vector to inject next, or -1 when none beats the processor priority
 * lapic_accept	 - that vector is being injected: IRR to ISR
 * Context: the vCPU's own CPU.
 */
int lapic_pending(struct vcpu *vcpu);
void lapic_accept(struct vcpu *vcpu, uint8_t vector);

/* lapic_poll_timer - raise the timer's interrupt when @now (host TSC) has reached its deadline. */
void lapic_poll_timer(struct vcpu *vcpu, uint64_t now);

/*
 * lapic_mmio_read/write - xAPIC page, offset 0..0xfff; -ENODEV when not in xAPIC mode
 * lapic_msr_read/write	 - x2APIC MSRs 0x800..0x8ff, IA32_APIC_BASE, IA32_TSC_DEADLINE
 * Return 0, or -EINVAL: the access is answered with #GP.
 */
int lapic_mmio_read(struct vcpu *vcpu, uint32_t offset, uint32_t *value);
int lapic_mmio_write(struct vcpu *vcpu, uint32_t offset, uint32_t value);
int lapic_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
int lapic_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value);

/* lapic_get_cr8, lapic_set_cr8 - CR8 is TPR bits 7:4. */
uint64_t lapic_get_cr8(const struct lapic *lapic);
int lapic_set_cr8(struct vcpu *vcpu, uint64_t value);

#endif

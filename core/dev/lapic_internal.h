/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the four files of the local APIC share: lapic.c (accepting interrupts), lapic_regs.c
 * (registers), lapic_timer.c, lapic_ipi.c (messages between local APICs)
 */
#ifndef CORE_DEV_LAPIC_INTERNAL_H
#define CORE_DEV_LAPIC_INTERNAL_H

#include "core/dev/lapic.h"

#define LAPIC_BASE_BSP	  BIT(8)
#define LAPIC_BASE_X2APIC BIT(10)
#define LAPIC_BASE_ENABLE BIT(11)

#define LAPIC_SVR_ENABLE BIT(8)

#define LAPIC_LVT_VECTOR 0xffu
#define LAPIC_LVT_MASKED 0x10000u
#define LAPIC_LVT_MODE	 0x700u
#define LAPIC_LVT_NMI	 0x400u

/* The timer's mode: bits 18:17 of its LVT entry. */
#define LAPIC_TIMER_MODE	 0x60000u
#define LAPIC_TIMER_PERIODIC	 0x20000u
#define LAPIC_TIMER_TSC_DEADLINE 0x40000u

#define LAPIC_ESR_SEND_ILLEGAL	  BIT(5)
#define LAPIC_ESR_RECEIVE_ILLEGAL BIT(6)
#define LAPIC_ESR_BAD_REGISTER	  BIT(7)

#define LAPIC_VECTOR_MIN 16 /* the vectors below belong to exceptions */

/* Registers in the page of direct mode: offsets in bytes; sets take a word in 16 bytes. */
#define LAPIC_PAGE_TPR	  0x080u
#define LAPIC_PAGE_ISR	  0x100u
#define LAPIC_PAGE_IRR	  0x200u
#define LAPIC_PAGE_STRIDE 16u

/* lapic_page_word - word @i of a set, or a register with @i 0. Context: direct mode. */
static inline uint32_t *lapic_page_word(const struct lapic *lapic, uint32_t offset, uint32_t i)
{
	return &lapic->page[(offset + i * LAPIC_PAGE_STRIDE) / sizeof(uint32_t)];
}

/* Questions that any CPU may ask. */
static inline bool lapic_in_x2apic(const struct lapic *lapic)
{
	return __atomic_load_n(&lapic->base_msr, __ATOMIC_RELAXED) & LAPIC_BASE_X2APIC;
}

static inline bool lapic_hardware_enabled(const struct lapic *lapic)
{
	return __atomic_load_n(&lapic->base_msr, __ATOMIC_RELAXED) & LAPIC_BASE_ENABLE;
}

static inline bool lapic_software_enabled(const struct lapic *lapic)
{
	return __atomic_load_n(&lapic->svr, __ATOMIC_RELAXED) & LAPIC_SVR_ENABLE;
}

/* lapic_reset_registers - all but the id, IA32_APIC_BASE, and what other vCPUs have latched. */
void lapic_reset_registers(struct lapic *lapic);

/*
 * lapic_tpr, lapic_set_tpr, lapic_isr_word, lapic_irr_word - wherever the registers are now
 * lapic_switch_direct - have the processor deliver, where it can, or no longer
 * Context: the vCPU's own CPU; the last: loaded.
 */
uint32_t lapic_tpr(const struct lapic *lapic);
void lapic_set_tpr(struct lapic *lapic, uint32_t tpr);
uint32_t lapic_isr_word(const struct lapic *lapic, uint32_t i);
uint32_t lapic_irr_word(const struct lapic *lapic, uint32_t i);
void lapic_switch_direct(struct vcpu *vcpu, bool on);

/* lapic_processor_priority - the task's, or the served interrupt's class if that is higher. */
uint32_t lapic_processor_priority(const struct lapic *lapic);

/* lapic_end_of_interrupt - the interrupt being served is done. Context: vm->lock not held. */
void lapic_end_of_interrupt(struct vcpu *vcpu);

/* lapic_error - note an error for ESR, raise the error interrupt. Context: any CPU. */
void lapic_error(struct vcpu *vcpu, uint32_t error);

/* lapic_latch_nmi - an NMI for this vCPU; one waits at most, as in a processor. Context: any CPU.
 */
void lapic_latch_nmi(struct vcpu *vcpu);

/*
 * lapic_raise_local - the interrupt of an entry of the local vector table, unless masked
 * Fixed or NMI, as the entry says; its other modes (SMI, INIT, ExtINT) mean nothing in this
 * machine.
 */
void lapic_raise_local(struct vcpu *vcpu, enum lapic_lvt entry);

/* lapic_logical_id - LDR as the APIC's mode shows it. Context: any CPU. */
uint32_t lapic_logical_id(const struct lapic *lapic);

/*
 * lapic_send_icr - do what a write of ICR asks for
 * @icr: 64 bits in the format of the APIC's mode: destination in bits 63:56 (xAPIC) or 63:32
 */
void lapic_send_icr(struct vcpu *vcpu, uint64_t icr);

/* The timer's registers; see lapic_timer.c. Context: the vCPU's own CPU. */
void lapic_timer_reset(struct lapic *lapic);
void lapic_timer_set_lvt(struct lapic *lapic, uint32_t lvt);
void lapic_timer_set_initial(struct lapic *lapic, uint32_t count);
void lapic_timer_set_divide(struct lapic *lapic, uint32_t value);
uint32_t lapic_timer_current(const struct lapic *lapic);
void lapic_timer_set_deadline(struct vcpu *vcpu, uint64_t deadline);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's local APIC, in software: xAPIC (MMIO) and x2APIC (MSR) modes, TSC-deadline, one-shot
 * and periodic timer.
 * Documents: SDM vol. 3A chapter "Advanced Programmable Interrupt Controller (APIC)".
 */
#ifndef CORE_DEV_LAPIC_H
#define CORE_DEV_LAPIC_H

#include "core/time.h"
#include "core/types.h"

struct vcpu;
struct vm;

/*
 * lapic_clock_ratio - TSC ticks in one tick of the clock that the timer divides
 *
 * The SDM wants the timer to count the crystal that CPUID leaf 0x15 tells. Ours is the TSC itself,
 * or the largest whole part of it whose frequency in Hz has 32 bits.
 */
static inline uint32_t lapic_clock_ratio(void)
{
	return (uint32_t)((uint64_t)tsc_khz * 1000 / UINT32_MAX) + 1;
}

/* The local vector table. There is no entry for corrected machine checks (CMCI). */
enum lapic_lvt {
	LAPIC_LVT_TIMER,
	LAPIC_LVT_THERMAL,
	LAPIC_LVT_PERFORMANCE,
	LAPIC_LVT_LINT0,
	LAPIC_LVT_LINT1,
	LAPIC_LVT_ERROR,
	LAPIC_LVT_COUNT
};

/*
 * Written by the vCPU's own CPU only, but for what is marked atomic; other CPUs read base_msr, svr,
 * ldr, dfr and lvt to find out whether an interrupt is for this vCPU.
 */
struct lapic {
	uint64_t base_msr; /* IA32_APIC_BASE */
	uint32_t id;	   /* x2APIC id */
	uint32_t tpr, svr, ldr, dfr;
	uint32_t esr;	     /* as the guest reads it */
	uint32_t esr_shadow; /* atomic: errors since the guest last wrote ESR */
	uint32_t lvt[LAPIC_LVT_COUNT];
	uint64_t icr;
	uint32_t timer_initial, timer_divide;
	uint64_t timer_deadline; /* host TSC of the next timer interrupt; TIME_NEVER: none */
	uint64_t tsc_deadline;	 /* guest's IA32_TSC_DEADLINE */
	uint32_t isr[8];
	uint32_t tmr[8]; /* atomic */
	uint32_t irr[8]; /* atomic: any CPU sets bits */
	/*
	 * Direct mode: the processor delivers by itself, out of this page (virt_ops.apic_direct).
	 * TPR and ISR are there, and IRR but for what is new in irr above. NULL: all of it is ours.
	 */
	uint32_t *page;
	bool posted;	  /* atomic; irr may hold something; in direct mode: something new */
	bool changed;	  /* the page, by us: the processor has to be told */
	uint32_t signals; /* atomic: LAPIC_SIGNAL_* from other vCPUs */
};

/* INIT, and what came behind it: one word, so that their order cannot be lost. */
#define LAPIC_SIGNAL_VECTOR  0xffu /* the start-up's */
#define LAPIC_SIGNAL_STARTUP BIT(8)
#define LAPIC_SIGNAL_INIT    BIT(9)
#define LAPIC_SIGNAL_NMI     BIT(10)

/* An interrupt message on its way to the local APICs of a VM. */
struct lapic_message {
	uint32_t dest; /* a physical id or a logical set */
	bool logical;
	bool narrow; /* @dest has 8 bits: from an I/O APIC or an xAPIC */
	bool level;
	uint8_t mode; /* LAPIC_MODE_* */
	uint8_t vector;
};

#define LAPIC_MODE_FIXED	   0
#define LAPIC_MODE_LOWEST_PRIORITY 1
#define LAPIC_MODE_NMI		   4
#define LAPIC_MODE_INIT		   5
#define LAPIC_MODE_STARTUP	   6

/* lapic_reset - power-on state of vCPU @id. Context: nobody else uses the vCPU yet. */
void lapic_reset(struct lapic *lapic, uint32_t id);

/*
 * lapic_raise - an interrupt for this vCPU; sets IRR, (level: TMR), kicks
 * Returns whether the local APIC accepted it: it does not while disabled, or for vectors below 16.
 * Context: any CPU, any locks.
 */
bool lapic_raise(struct vcpu *vcpu, uint8_t vector, bool level);

/*
 * lapic_deliver - bring a message to the vCPUs it names
 * Lowest priority goes to the first vCPU that accepts. Delivery modes without a constant above are
 * dropped. Returns whether anybody accepted. Context: any CPU, any locks.
 */
bool lapic_deliver(struct vm *vm, const struct lapic_message *message);

/*
 * lapic_pending - the vector to inject next, or -1 when none beats the processor priority
 * lapic_accept	 - that vector is being injected: IRR to ISR
 * Context: the vCPU's own CPU.
 */
int lapic_pending(struct vcpu *vcpu);
void lapic_accept(struct vcpu *vcpu, uint8_t vector);

/*
 * lapic_end_level - the processor has ended a level-triggered interrupt: tell the I/O APIC
 * Context: the vCPU's own CPU, direct mode, vm->lock not held.
 */
void lapic_end_level(struct vcpu *vcpu, uint8_t vector);

/*
 * lapic_update_page - bring what was raised into the page
 * Returns whether the processor has to be told: then *status is the most urgent vector that waits,
 * and above its 8 bits the one that is served, 0 where there is none. Context: the vCPU's own CPU,
 * direct mode.
 */
bool lapic_update_page(struct lapic *lapic, uint16_t *status);

/*
 * lapic_signalled    - has an INIT, a start-up, or an NMI come that the vCPU's CPU has not taken
 * yet? Any CPU. lapic_take_signals - take them: LAPIC_SIGNAL_* bits; INIT comes before the others
 * lapic_obey_init    - what INIT does to the local APIC: its id, mode and IA32_APIC_BASE stay
 * Context: the vCPU's own CPU, but for the first.
 */
bool lapic_signalled(const struct vcpu *vcpu);
uint32_t lapic_take_signals(struct vcpu *vcpu);
void lapic_obey_init(struct lapic *lapic);

/* lapic_press_nmi - what the NMI button of a PC does: a pulse on LINT1. Context: any CPU. */
void lapic_press_nmi(struct vcpu *vcpu);

/* lapic_poll_timer - raise the timer's interrupt when @now (host TSC) has reached its deadline. */
void lapic_poll_timer(struct vcpu *vcpu, uint64_t now);

/* lapic_tsc_changed - arch.tsc_offset has a new value: move an armed TSC deadline with it. */
void lapic_tsc_changed(struct vcpu *vcpu);

/*
 * lapic_mmio_read/write - xAPIC page, offset 0..0xfff; -ENODEV when not in xAPIC mode
 * lapic_msr_read/write	 - x2APIC MSRs 0x800..0x8ff, IA32_APIC_BASE, IA32_TSC_DEADLINE
 * Return 0, or -EINVAL: the access is answered with #GP.
 * Context: the vCPU's own CPU, vm->lock not held.
 */
int lapic_mmio_read(struct vcpu *vcpu, uint32_t offset, uint32_t *value);
int lapic_mmio_write(struct vcpu *vcpu, uint32_t offset, uint32_t value);
int lapic_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
int lapic_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value);

/* lapic_get_cr8, lapic_set_cr8 - CR8 is TPR bits 7:4. */
uint64_t lapic_get_cr8(const struct lapic *lapic);
int lapic_set_cr8(struct vcpu *vcpu, uint64_t value);

#endif

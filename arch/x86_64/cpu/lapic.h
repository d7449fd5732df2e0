/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's local APICs: interrupts between CPUs, and each CPU's timer
 *
 * x2APIC mode where the CPU has it, the memory-mapped registers elsewhere.
 */
#ifndef ARCH_CPU_LAPIC_H
#define ARCH_CPU_LAPIC_H

#include "core/types.h"

/* lapic_init - choose the mode, enable this CPU's. Boot CPU. Returns 0, -ENODEV, -ENOMEM, printed.
 */
int lapic_init(void);

/* lapic_init_timer - choose TSC deadline or, measured against the TSC, one-shot. Boot CPU. */
void lapic_init_timer(void);

/* lapic_init_cpu - enable the executing CPU's, all but NMI masked. */
void lapic_init_cpu(void);

/* lapic_id - of the executing CPU. */
uint32_t lapic_id(void);

/* lapic_id_reachable - can an interrupt be addressed to this id in the chosen mode? */
bool lapic_id_reachable(uint32_t apic_id);

/* lapic_eoi - the interrupt being handled is done. */
void lapic_eoi(void);

/* lapic_send - a fixed interrupt, INIT, or start-up at physical page @page (below 1 MiB). */
void lapic_send(uint32_t apic_id, uint8_t vector);
void lapic_send_init(uint32_t apic_id);
void lapic_send_startup(uint32_t apic_id, hpa_t page);

/* lapic_send_nmi_to_others - to all other CPUs. Nothing before lapic_init(). */
void lapic_send_nmi_to_others(void);

/*
 * lapic_set_timer - VECTOR_TIMER at or soon after a TSC value; TIME_NEVER: not at all
 * Replaces what was set before. This CPU only.
 */
void lapic_set_timer(uint64_t tsc);

/*
 * lapic_timer_expired - the timer's interrupt has come
 * Returns whether the time that was asked for is there; if not, the timer is running again.
 */
bool lapic_timer_expired(void);

#endif

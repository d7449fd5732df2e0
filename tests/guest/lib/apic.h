/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC in its two modes, by one set of register offsets, and the I/O APIC.
 * Documents: SDM vol. 3A, chapter "Advanced Programmable Interrupt Controller (APIC)"; Intel
 * 82093AA datasheet.
 */
#ifndef TESTS_GUEST_LIB_APIC_H
#define TESTS_GUEST_LIB_APIC_H

#include <stdbool.h>
#include <stdint.h>

/* Offsets in the xAPIC's page; the x2APIC's MSRs are 0x800 + offset / 16. */
#define APIC_ID		   0x020
#define APIC_TPR	   0x080
#define APIC_EOI	   0x0b0
#define APIC_SVR	   0x0f0
#define APIC_IRR	   0x200
#define APIC_ICR	   0x300
#define APIC_ICR_HIGH	   0x310 /* xAPIC only */
#define APIC_LVT_TIMER	   0x320
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE  0x3e0
#define APIC_SELF_IPI	   0x3f0 /* x2APIC only */

#define APIC_SVR_ENABLE		0x100
#define APIC_LVT_MASKED		(1u << 16)
#define APIC_TIMER_ONE_SHOT	0u
#define APIC_TIMER_PERIODIC	(1u << 17)
#define APIC_TIMER_TSC_DEADLINE (2u << 17)
#define APIC_DIVIDE_BY_1	0xbu
#define APIC_ICR_SELF		(1u << 18)
#define APIC_ICR_NMI		(4u << 8 | 1u << 14)
#define APIC_ICR_OTHERS		(3u << 18)
#define APIC_ICR_INIT		(5u << 8 | 1u << 14)
#define APIC_ICR_STARTUP	(6u << 8)

#define MSR_APIC_BASE	  0x1b
#define MSR_TSC_DEADLINE  0x6e0
#define APIC_BASE_ENABLE  (1u << 11)
#define APIC_BASE_X2APIC  (1u << 10)
#define APIC_BASE_DEFAULT 0xfee00000ull

#define IOAPIC_BASE		0xfec00000ull
#define IOAPIC_REDIRECTION(pin) (0x10u + 2 * (pin))
#define IOAPIC_EDGE		0u
#define IOAPIC_LEVEL		(1u << 15)
#define IOAPIC_MASKED		(1u << 16)

/* apic_use_x2apic - switch to x2APIC mode, for good. apic_is_x2apic - is it on? */
void apic_use_x2apic(void);
bool apic_is_x2apic(void);

uint32_t apic_read(uint32_t offset);
void apic_write(uint32_t offset, uint32_t value);

/* apic_send_self - an interrupt to this CPU through the ICR */
void apic_send_self(uint8_t vector);

/* apic_send - @command (a vector, or APIC_ICR_*) to the CPU with this id. In x2APIC mode. */
void apic_send(uint32_t id, uint32_t command);

/*
 * ioapic_route - let a pin raise a vector on this CPU, active high
 * @trigger: IOAPIC_EDGE or IOAPIC_LEVEL
 */
void ioapic_route(unsigned int pin, uint8_t vector, uint32_t trigger);
void ioapic_mask(unsigned int pin);

#endif

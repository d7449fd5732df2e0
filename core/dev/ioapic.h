/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's I/O APIC: 24 pins, at VM_IOAPIC_BASE.
 * Documents: Intel 82093AA datasheet.
 */
#ifndef CORE_DEV_IOAPIC_H
#define CORE_DEV_IOAPIC_H

#include "core/types.h"

#define IOAPIC_PINS 24

struct vm;

struct ioapic {
	uint32_t id;	 /* as in its register: bits 27:24; nothing depends on it */
	uint32_t select; /* register that the window shows */
	uint64_t redirection[IOAPIC_PINS];
	uint32_t level; /* a bit a pin: the line's level now */
};

/* ioapic_reset - power-on state: all pins masked. */
void ioapic_reset(struct ioapic *ioapic);

/*
 * ioapic_set_line - a device's interrupt line changes
 * @high: asserted; the polarity that the guest programs is stored, but means nothing here
 * Context: vm->lock held.
 */
void ioapic_set_line(struct vm *vm, unsigned int pin, bool high);

/* ioapic_eoi - a local APIC broadcasts the end of a level-triggered vector. Context: vm->lock held.
 */
void ioapic_eoi(struct vm *vm, uint8_t vector);

/* Register window, 32-bit accesses. Context: vm->lock held. */
uint32_t ioapic_mmio_read(struct vm *vm, uint32_t offset);
void ioapic_mmio_write(struct vm *vm, uint32_t offset, uint32_t value);

#endif

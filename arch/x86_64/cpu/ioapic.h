/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's I/O APICs: the way of a device's interrupt to a CPU. */
#ifndef ARCH_CPU_IOAPIC_H
#define ARCH_CPU_IOAPIC_H

#include "arch/x86_64/cpu/acpi.h"

/*
 * ioapic_route - have an edge-triggered interrupt raise a vector
 * @irq: the interrupt, as the ACPI tables describe it
 * @apic_id: of the CPU that gets it
 *
 * Returns 0; -ENODEV: no I/O APIC has it, it is level-triggered, or it cannot reach that CPU; or
 * -ENOMEM. Nothing was changed then. Context: boot CPU, after paging_init().
 */
int ioapic_route(const struct acpi_info *acpi, const struct acpi_interrupt *irq, uint8_t vector,
		 uint32_t apic_id);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the host's static ACPI tables say: its CPUs, its nodes, its I/O APICs, its timer, how to
 * switch it off
 *
 * No AML is interpreted; the one object that power-off needs is found by its bytes.
 */
#ifndef ARCH_CPU_ACPI_H
#define ARCH_CPU_ACPI_H

#include "arch/x86_64/cpu/srat.h"
#include "core/types.h"

#define ACPI_MAX_CPUS	 SRAT_MAX_CPUS
#define ACPI_MAX_IOAPICS 16u
#define ACPI_SERIAL_IRQ	 4u /* the PC's number for the first serial port's interrupt */

enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1, ACPI_SPACE_PCI = 2 };

/* A register's place, from a Generic Address Structure. address 0: there is none. */
struct acpi_register {
	uint8_t space; /* enum acpi_space */
	uint64_t address;
};

/* An I/O APIC: its registers, and the first of the global system interrupts that are its pins. */
struct acpi_ioapic {
	hpa_t base;
	uint32_t gsi;
};

/* What an interrupt of the old PC is here. */
struct acpi_interrupt {
	uint32_t gsi;
	uint16_t flags; /* polarity and trigger mode, as in the MADT; 0: as the ISA bus had them */
};

struct acpi_info {
	bool bochs; /* RSDP: made by the firmware of Bochs, which QEMU uses as well */

	/* MADT: local APIC ids of the CPUs that firmware has enabled; 0 when there is no MADT. */
	uint32_t cpu_count;
	uint32_t cpus[ACPI_MAX_CPUS];
	uint32_t cpus_left_out; /* those beyond ACPI_MAX_CPUS */
	uint32_t ioapic_count;
	struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
	struct acpi_interrupt serial; /* ACPI_SERIAL_IRQ */

	/* FADT. Ports and registers are 0 where the machine has none. */
	uint16_t pm_timer;
	bool pm_timer_is_32_bit; /* otherwise 24 */
	uint16_t pm1a_control, pm1b_control;
	uint16_t smi_command;
	uint8_t acpi_enable;   /* written to smi_command switches ACPI mode on */
	bool hardware_reduced; /* no PM1 registers: sleep_control instead */
	struct acpi_register sleep_control;
	struct acpi_register reset;
	uint8_t reset_value;

	/* DSDT, \_S5: what to write for power-off. */
	bool has_s5;
	uint8_t s5_type_a, s5_type_b;
};

/*
 * acpi_parse - read the tables that an RSDP leads to
 * @rsdp, @size: the RSDP (20 or 36 bytes)
 * @map: makes @size bytes at a physical address readable; NULL when it cannot
 * @info: filled with what was found, zero elsewhere
 *
 * Believes no length or count in the tables. Returns 0; -EINVAL when the RSDP or the root table is
 * unusable. A single bad table is left out.
 * Source: ACPI Specification 6.5, sections 5.2.5 to 5.2.12 and 7.4.2.
 */
int acpi_parse(const uint8_t *rsdp, size_t size, const void *(*map)(hpa_t pa, size_t size),
	       struct acpi_info *info);

/*
 * acpi_parse_nodes - likewise, but only which memory and CPUs are near each other
 * @srat: filled; one node when no table says anything else, or none that can be believed
 *
 * Its own function, because it is wanted before there is memory to map tables with.
 */
void acpi_parse_nodes(const uint8_t *rsdp, size_t size, const void *(*map)(hpa_t pa, size_t size),
		      struct srat *srat);

#endif

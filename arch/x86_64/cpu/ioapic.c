/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Documents: Intel 82093AA data sheet, section 3; ACPI Specification 6.5, table 5.26 "MPS INTI
 * Flags"
 */
#include "arch/x86_64/cpu/ioapic.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/paging.h"
#include "core/errno.h"

/* Memory-mapped: which register, and its contents. */
#define SELECT	    0x00
#define WINDOW	    0x10
#define WINDOW_SIZE 0x20

#define REG_VERSION	   0x01u
#define REG_ENTRY(pin)	   (0x10u + 2 * (pin)) /* the higher half behind it */
#define VERSION_MAX_PIN(v) ((v) >> 16 & 0xff)
#define ENTRY_ACTIVE_LOW   BIT(13)
#define ENTRY_MASKED	   BIT(16)
#define ENTRY_DEST_SHIFT   24 /* in the higher half */
#define DEST_MAX	   0xfeu

#define FLAGS_POLARITY	 0x3u
#define FLAGS_ACTIVE_LOW 0x3u
#define FLAGS_TRIGGER	 0xcu
#define FLAGS_LEVEL	 0xcu

static uint32_t reg_read(volatile char *registers, uint32_t reg)
{
	mmio_write32(registers + SELECT, reg);
	return mmio_read32(registers + WINDOW);
}

static void reg_write(volatile char *registers, uint32_t reg, uint32_t value)
{
	mmio_write32(registers + SELECT, reg);
	mmio_write32(registers + WINDOW, value);
}

/* The one whose pins begin last before the interrupt, or at it; NULL: none. */
static const struct acpi_ioapic *find(const struct acpi_info *acpi, uint32_t gsi)
{
	const struct acpi_ioapic *best = NULL;

	for (uint32_t i = 0; i < acpi->ioapic_count; i++) {
		const struct acpi_ioapic *ioapic = &acpi->ioapics[i];

		if (ioapic->gsi <= gsi && (!best || ioapic->gsi > best->gsi))
			best = ioapic;
	}
	return best;
}

int ioapic_route(const struct acpi_info *acpi, const struct acpi_interrupt *irq, uint8_t vector,
		 uint32_t apic_id)
{
	const struct acpi_ioapic *ioapic = find(acpi, irq->gsi);
	volatile char *registers;
	uint32_t pin, entry = vector; /* fixed, to one CPU by its id, edge */

	/* A level would raise it again until somebody has read what the device has to say. */
	if (!ioapic || (irq->flags & FLAGS_TRIGGER) == FLAGS_LEVEL || apic_id > DEST_MAX)
		return -ENODEV;
	registers = paging_map_mmio(ioapic->base, WINDOW_SIZE);
	if (!registers)
		return -ENOMEM;
	pin = irq->gsi - ioapic->gsi;
	if (pin > VERSION_MAX_PIN(reg_read(registers, REG_VERSION)))
		return -ENODEV;
	if ((irq->flags & FLAGS_POLARITY) == FLAGS_ACTIVE_LOW)
		entry |= (uint32_t)ENTRY_ACTIVE_LOW;
	reg_write(registers, REG_ENTRY(pin), (uint32_t)ENTRY_MASKED);
	reg_write(registers, REG_ENTRY(pin) + 1, apic_id << ENTRY_DEST_SHIFT);
	reg_write(registers, REG_ENTRY(pin), entry);
	return 0;
}

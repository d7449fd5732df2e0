/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O APIC: 24 pins, each with an entry that says where its interrupt goes
 * Documents: Intel 82093AA datasheet, section 3; Intel ICH9 datasheet, "IOxAPIC" (EOI register).
 */
#include "core/dev/ioapic.h"
#include "core/dev/lapic.h"
#include "core/vm/vm.h"

/* Memory-mapped registers */
#define OFFSET_SELECT 0x00
#define OFFSET_WINDOW 0x10
#define OFFSET_EOI    0x40

/* Registers behind the window */
#define REG_ID		0x00
#define REG_VERSION	0x01
#define REG_ARBITRATION 0x02
#define REG_REDIRECTION 0x10 /* two for each pin: low half, high half */
#define REG_END		(REG_REDIRECTION + 2 * IOAPIC_PINS)

#define ID_MASK		 0x0f000000u
#define SELECT_MASK	 0xffu
#define VERSION_WITH_EOI 0x20u
#define VERSION		 (VERSION_WITH_EOI | (uint32_t)(IOAPIC_PINS - 1) << 16)

/* Redirection entry */
#define ENTRY_VECTOR	 0xffu
#define ENTRY_MODE_SHIFT 8
#define ENTRY_MODE_MASK	 0x7u
#define ENTRY_LOGICAL	 BIT(11)
#define ENTRY_POLARITY	 BIT(13)
#define ENTRY_REMOTE_IRR BIT(14)
#define ENTRY_LEVEL	 BIT(15)
#define ENTRY_MASKED	 BIT(16)
#define ENTRY_DEST_SHIFT 56
#define ENTRY_WRITABLE                                                                             \
	(0xffull << ENTRY_DEST_SHIFT | ENTRY_MASKED | ENTRY_LEVEL | ENTRY_POLARITY |               \
	 ENTRY_LOGICAL | ENTRY_MODE_MASK << ENTRY_MODE_SHIFT | ENTRY_VECTOR)

void ioapic_reset(struct ioapic *ioapic)
{
	*ioapic = (struct ioapic){0};
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		ioapic->redirection[pin] = ENTRY_MASKED;
}

/*
 * Sends a pin's interrupt. The modes beside fixed and lowest priority (SMI, NMI, INIT, ExtINT) have
 * no source in this machine that would want them, and are dropped.
 */
static void send(struct vm *vm, unsigned int pin)
{
	uint64_t *entry = &vm->ioapic.redirection[pin];
	struct lapic_message message = {
		.dest = (uint32_t)(*entry >> ENTRY_DEST_SHIFT),
		.logical = *entry & ENTRY_LOGICAL,
		.narrow = true,
		.level = *entry & ENTRY_LEVEL,
		.mode = *entry >> ENTRY_MODE_SHIFT & ENTRY_MODE_MASK,
		.vector = *entry & ENTRY_VECTOR,
	};

	if (message.mode != LAPIC_MODE_FIXED && message.mode != LAPIC_MODE_LOWEST_PRIORITY)
		return;
	if (lapic_deliver(vm, &message) && message.level)
		*entry |= ENTRY_REMOTE_IRR;
}

/* A level-triggered pin interrupts as long as its line is high and nobody is busy with it. */
static void send_level(struct vm *vm, unsigned int pin)
{
	uint64_t entry = vm->ioapic.redirection[pin];

	if ((vm->ioapic.level & BIT(pin)) && (entry & ENTRY_LEVEL) &&
	    !(entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
		send(vm, pin);
}

void ioapic_set_line(struct vm *vm, unsigned int pin, bool high)
{
	struct ioapic *ioapic = &vm->ioapic;
	uint32_t bit = 1u << pin;
	bool rising = high && !(ioapic->level & bit);

	if (high)
		ioapic->level |= bit;
	else
		ioapic->level &= ~bit;

	if (ioapic->redirection[pin] & ENTRY_LEVEL)
		send_level(vm, pin);
	else if (rising && !(ioapic->redirection[pin] & ENTRY_MASKED))
		send(vm, pin); /* an edge on a masked pin is lost, as the datasheet says */
}

void ioapic_eoi(struct vm *vm, uint8_t vector)
{
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t *entry = &vm->ioapic.redirection[pin];

		if ((*entry & ENTRY_REMOTE_IRR) && (*entry & ENTRY_VECTOR) == vector) {
			*entry &= ~ENTRY_REMOTE_IRR;
			send_level(vm, pin);
		}
	}
}

static void write_entry(struct vm *vm, uint32_t reg, uint32_t value)
{
	unsigned int pin = (reg - REG_REDIRECTION) / 2;
	unsigned int shift = reg % 2 ? 32 : 0;
	uint64_t *entry = &vm->ioapic.redirection[pin];
	uint64_t half = (uint64_t)UINT32_MAX << shift & ENTRY_WRITABLE;

	*entry = (*entry & ~half) | ((uint64_t)value << shift & half);
	if (!(*entry & ENTRY_LEVEL))
		*entry &= ~ENTRY_REMOTE_IRR;
	send_level(vm, pin);
}

static uint32_t read_window(const struct ioapic *ioapic)
{
	uint32_t reg = ioapic->select;

	switch (reg) {
	case REG_ID:
	case REG_ARBITRATION: /* there is no bus to arbitrate for: shows the id */
		return ioapic->id;
	case REG_VERSION:
		return VERSION;
	case REG_REDIRECTION ... REG_END - 1:
		return (uint32_t)(ioapic->redirection[(reg - REG_REDIRECTION) / 2] >>
				  (reg % 2 ? 32 : 0));
	default:
		return 0;
	}
}

static void write_window(struct vm *vm, uint32_t value)
{
	uint32_t reg = vm->ioapic.select;

	if (reg == REG_ID)
		vm->ioapic.id = value & ID_MASK;
	else if (reg >= REG_REDIRECTION && reg < REG_END)
		write_entry(vm, reg, value);
}

uint32_t ioapic_mmio_read(struct vm *vm, uint32_t offset)
{
	switch (offset) {
	case OFFSET_SELECT:
		return vm->ioapic.select;
	case OFFSET_WINDOW:
		return read_window(&vm->ioapic);
	default:
		return 0;
	}
}

void ioapic_mmio_write(struct vm *vm, uint32_t offset, uint32_t value)
{
	switch (offset) {
	case OFFSET_SELECT:
		vm->ioapic.select = value & SELECT_MASK;
		break;
	case OFFSET_WINDOW:
		write_window(vm, value);
		break;
	case OFFSET_EOI:
		ioapic_eoi(vm, (uint8_t)value);
		break;
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From address to device: see bus.h
 */
#include "core/dev/bus.h"
#include "core/dev/ioapic.h"
#include "core/dev/lapic.h"
#include "core/dev/power.h"
#include "core/dev/testdev.h"
#include "core/dev/uart.h"
#include "core/dev/virtio.h"
#include "core/vm/vcpu.h"
#include "core/vm/vm.h"

#define PORT_SYSTEM_CONTROL   0x61
#define SYSTEM_CONTROL_ERRORS 0xc0 /* parity, channel check */

#define IO_SIZE_MAX   4u
#define MMIO_SIZE_MAX 8u

static uint8_t read_uart(struct vm *vm, uint16_t port)
{
	uint8_t value;

	spin_lock(&vm->lock);
	value = uart_read(vm, port - UART_PORT);
	spin_unlock(&vm->lock);
	return value;
}

static void write_uart(struct vm *vm, uint16_t port, uint8_t value)
{
	spin_lock(&vm->lock);
	uart_write(vm, port - UART_PORT, value);
	spin_unlock(&vm->lock);
}

/* System control port B: what an NMI's handler looks at. No memory or bus error is ever reported.
 */
static uint8_t read_system_control(struct vm *vm, uint16_t port)
{
	(void)vm, (void)port;
	return (uint8_t)~SYSTEM_CONTROL_ERRORS;
}

/* All devices on ports have 8-bit registers. */
struct port_range {
	uint16_t first, last;
	bool whole;   /* answers byte accesses only: is no part of a wider register around it */
	bool testdev; /* there only for guests with the module word testdev */
	uint8_t (*read)(struct vm *vm, uint16_t port);
	void (*write)(struct vm *vm, uint16_t port, uint8_t value);
	/* Instead of write: takes the whole of an access of any width that starts at first. */
	void (*write_whole)(struct vm *vm, uint32_t value);
};

static const struct port_range ports[] = {
	{
		.first = PORT_SYSTEM_CONTROL,
		.last = PORT_SYSTEM_CONTROL,
		.read = read_system_control,
	},
	{
		.first = POWER_PORT_KEYBOARD,
		.last = POWER_PORT_KEYBOARD,
		.read = power_read,
		.write = power_write,
	},
	{
		.first = TESTDEV_PORT_DEBUG,
		.last = TESTDEV_PORT_DEBUG,
		.testdev = true,
		.read = testdev_read_debug,
		.write = testdev_write_debug,
	},
	{
		.first = TESTDEV_PORT_EXIT,
		.last = TESTDEV_PORT_EXIT,
		.testdev = true,
		.write_whole = testdev_write_exit,
	},
	{
		.first = UART_PORT,
		.last = UART_PORT + UART_PORTS - 1,
		.read = read_uart,
		.write = write_uart,
	},
	{
		.first = POWER_PORT_SLEEP_CONTROL,
		.last = POWER_PORT_RESET,
		.read = power_read,
		.write = power_write,
	},
	{
		/* 32-bit writes to PCI's configuration address, 0xcf8, must not reset the guest. */
		.first = POWER_PORT_CHIPSET,
		.last = POWER_PORT_CHIPSET,
		.whole = true,
		.read = power_read,
		.write = power_write,
	},
};

/* @port may be beyond 0xffff, where a wide access at the end of the port space reaches. */
static const struct port_range *find_port(const struct vm *vm, unsigned int port, unsigned int size)
{
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		const struct port_range *range = &ports[i];

		if (port < range->first || port > range->last)
			continue;
		if ((range->whole && size != 1) || (range->testdev && !vm->config->testdev))
			return NULL;
		return range;
	}
	return NULL;
}

uint32_t bus_io_read(struct vcpu *vcpu, uint16_t port, unsigned int size)
{
	struct vm *vm = vcpu->vm;
	uint32_t value = 0;

	for (unsigned int i = 0; i < size && i < IO_SIZE_MAX; i++) {
		const struct port_range *range = find_port(vm, port + i, size);
		uint8_t byte = UINT8_MAX;

		if (range && range->read)
			byte = range->read(vm, (uint16_t)(port + i));
		value |= (uint32_t)byte << (i * 8);
	}
	return value;
}

void bus_io_write(struct vcpu *vcpu, uint16_t port, unsigned int size, uint32_t value)
{
	struct vm *vm = vcpu->vm;
	const struct port_range *range = find_port(vm, port, size);

	if (range && range->write_whole) {
		range->write_whole(vm, value & (uint32_t)(BIT(size * 8) - 1));
		return;
	}
	for (unsigned int i = 0; i < size && i < IO_SIZE_MAX; i++) {
		range = find_port(vm, port + i, size);
		if (range && range->write)
			range->write(vm, (uint16_t)(port + i), (uint8_t)(value >> (i * 8)));
	}
}

static int read_lapic(struct vcpu *vcpu, uint32_t offset, uint32_t *value)
{
	return lapic_mmio_read(vcpu, offset, value);
}

static void write_lapic(struct vcpu *vcpu, uint32_t offset, uint32_t value)
{
	/* Not in xAPIC mode: nothing is there, and writes to nothing are ignored. */
	(void)lapic_mmio_write(vcpu, offset, value);
}

static int read_ioapic(struct vcpu *vcpu, uint32_t offset, uint32_t *value)
{
	struct vm *vm = vcpu->vm;

	spin_lock(&vm->lock);
	*value = ioapic_mmio_read(vm, offset);
	spin_unlock(&vm->lock);
	return 0;
}

static void write_ioapic(struct vcpu *vcpu, uint32_t offset, uint32_t value)
{
	struct vm *vm = vcpu->vm;

	spin_lock(&vm->lock);
	ioapic_mmio_write(vm, offset, value);
	spin_unlock(&vm->lock);
}

/* Each owns one page of 32-bit registers. */
struct mmio_page {
	gpa_t base;
	int (*read)(struct vcpu *vcpu, uint32_t offset, uint32_t *value);
	void (*write)(struct vcpu *vcpu, uint32_t offset, uint32_t value);
};

static const struct mmio_page pages[] = {
	{.base = VM_IOAPIC_BASE, .read = read_ioapic, .write = write_ioapic},
	{.base = VM_LAPIC_BASE, .read = read_lapic, .write = write_lapic},
};

static const struct mmio_page *find_page(gpa_t gpa, unsigned int size)
{
	if (size != sizeof(uint32_t) || !IS_ALIGNED(gpa, sizeof(uint32_t)))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		if (ALIGN_DOWN(gpa, PAGE_SIZE) == pages[i].base)
			return &pages[i];
	}
	return NULL;
}

/* Virtio devices have registers and configuration of several sizes. */
static bool is_virtio(gpa_t gpa, unsigned int size)
{
	return gpa >= VM_VIRTIO_BASE && IS_ALIGNED(gpa, size) &&
	       gpa < VM_VIRTIO_BASE + VIRTIO_SLOTS * VIRTIO_SLOT_SIZE;
}

uint64_t bus_mmio_read(struct vcpu *vcpu, gpa_t gpa, unsigned int size)
{
	const struct mmio_page *page = find_page(gpa, size);
	uint32_t value;

	if (is_virtio(gpa, size))
		return virtio_mmio_read(vcpu->vm, gpa - VM_VIRTIO_BASE, size);
	if (page && page->read(vcpu, (uint32_t)(gpa - page->base), &value) == 0)
		return value;
	return size >= MMIO_SIZE_MAX ? UINT64_MAX : BIT(size * 8) - 1;
}

void bus_mmio_write(struct vcpu *vcpu, gpa_t gpa, unsigned int size, uint64_t value)
{
	const struct mmio_page *page = find_page(gpa, size);

	if (is_virtio(gpa, size))
		virtio_mmio_write(vcpu->vm, gpa - VM_VIRTIO_BASE, size, value);
	else if (page)
		page->write(vcpu, (uint32_t)(gpa - page->base), (uint32_t)value);
}

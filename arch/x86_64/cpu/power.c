/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Documents: ACPI 6.5, sections 4.8.3.6 (reset register), 4.8.4.2 (PM1 control), 7.4.2 (\_S5),
 * 16.1.7 (transition to S5)
 */
#include "arch/x86_64/cpu/power.h"
#include "arch/x86_64/cpu/acpi.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/platform.h"
#include "arch/x86_64/cpu/serial.h"
#include "arch/x86_64/cpu/tsc.h"
#include "core/console.h"

#define PM1_SCI_ENABLE		 0x0001u
#define PM1_SLEEP_TYPE_SHIFT	 10
#define PM1_SLEEP_TYPE_MASK	 0x1c00u
#define PM1_SLEEP_ENABLE	 0x2000u
#define SLEEP_CONTROL_TYPE_SHIFT 2
#define SLEEP_CONTROL_ENABLE	 0x20u

#define KEYBOARD_COMMAND 0x64 /* its controller also drives the reset line */
#define KEYBOARD_RESET	 0xfe
#define KEYBOARD_BUSY	 0x02

#define WAIT_STEP_USEC	1000u
#define ACPI_MODE_STEPS 300u /* of WAIT_STEP_USEC: until firmware has switched to ACPI mode */
#define OFF_STEPS	500u /* until the machine is off or has been reset */

static const struct acpi_info *acpi;

/* A mapping cannot be made in a panic, nor on any CPU but the first: it is made beforehand. */
static volatile uint8_t *sleep_control_memory, *reset_memory;

static volatile uint8_t *map_register(const struct acpi_register *reg)
{
	if (!reg->address || reg->space != ACPI_SPACE_MEMORY)
		return NULL;
	return paging_map_mmio(reg->address, 1);
}

void power_init(const struct acpi_info *info)
{
	acpi = info;
	sleep_control_memory = map_register(&acpi->sleep_control);
	reset_memory = map_register(&acpi->reset);
}

static void write_register(const struct acpi_register *reg, volatile uint8_t *memory, uint8_t value)
{
	if (memory)
		*memory = value;
	else if (reg->address && reg->address <= UINT16_MAX && reg->space == ACPI_SPACE_IO)
		port_write8((uint16_t)reg->address, value);
}

/* Firmware that also serves old systems starts with the PM1 registers in its own hands. */
static void enter_acpi_mode(void)
{
	if (port_read16(acpi->pm1a_control) & PM1_SCI_ENABLE)
		return;
	if (!acpi->smi_command || !acpi->acpi_enable)
		return;
	port_write8(acpi->smi_command, acpi->acpi_enable);
	for (unsigned int i = 0; i < ACPI_MODE_STEPS; i++) {
		if (port_read16(acpi->pm1a_control) & PM1_SCI_ENABLE)
			return;
		tsc_wait_usec(WAIT_STEP_USEC);
	}
}

static void write_pm1(uint16_t port, uint8_t type)
{
	uint32_t value;

	if (!port)
		return;
	value = port_read16(port);
	value &= ~(PM1_SLEEP_TYPE_MASK | PM1_SLEEP_ENABLE);
	value |= ((uint32_t)type << PM1_SLEEP_TYPE_SHIFT) & PM1_SLEEP_TYPE_MASK;
	port_write16(port, (uint16_t)value);
	port_write16(port, (uint16_t)(value | PM1_SLEEP_ENABLE));
}

static void wait_for_the_end(void)
{
	for (unsigned int i = 0; i < OFF_STEPS; i++)
		tsc_wait_usec(WAIT_STEP_USEC);
}

/* All that was printed is to be seen before the machine ends. */
static void finish_output(void)
{
	cpu_irq_disable();
	console_set_kick(NULL);
	serial_drain();
}

void platform_power_off(void)
{
	finish_output();
	if (acpi && acpi->has_s5 && acpi->hardware_reduced) {
		write_register(&acpi->sleep_control, sleep_control_memory,
			       (uint8_t)((uint32_t)acpi->s5_type_a << SLEEP_CONTROL_TYPE_SHIFT |
					 SLEEP_CONTROL_ENABLE));
		wait_for_the_end();
	} else if (acpi && acpi->has_s5 && acpi->pm1a_control) {
		enter_acpi_mode();
		write_pm1(acpi->pm1a_control, acpi->s5_type_a);
		write_pm1(acpi->pm1b_control, acpi->s5_type_b);
		wait_for_the_end();
	}
	printk("tidepool: this machine does not switch itself off; you may do so now\n");
	platform_halt();
}

void platform_reset(void)
{
	finish_output();
	if (acpi && acpi->reset.address) {
		write_register(&acpi->reset, reset_memory, acpi->reset_value);
		wait_for_the_end();
	}
	for (unsigned int i = 0; i < OFF_STEPS && port_read8(KEYBOARD_COMMAND) & KEYBOARD_BUSY; i++)
		tsc_wait_usec(WAIT_STEP_USEC);
	port_write8(KEYBOARD_COMMAND, KEYBOARD_RESET);
	wait_for_the_end();
	printk("tidepool: this machine does not reset itself; you may do so now\n");
	platform_halt();
}

void platform_halt(void)
{
	cpu_halt();
}

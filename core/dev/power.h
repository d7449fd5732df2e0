/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a guest turns itself off or asks for a reset: ACPI's hardware-reduced sleep and reset
 * registers, and the keyboard controller's and chipset's reset ports that Linux falls back to.
 * Documents: ACPI 6.4 section 4.8.3.7 (sleep control), 4.8.3.6 (reset register).
 */
#ifndef CORE_DEV_POWER_H
#define CORE_DEV_POWER_H

#include "core/types.h"

#define POWER_PORT_SLEEP_CONTROL 0x600
#define POWER_PORT_SLEEP_STATUS	 0x601
#define POWER_PORT_RESET	 0x602
#define POWER_PORT_KEYBOARD	 0x64  /* keyboard controller: command register */
#define POWER_PORT_CHIPSET	 0xcf9 /* reset control register; byte accesses only */
#define POWER_RESET_VALUE	 0x01
#define POWER_SLEEP_TYPE_S5	 5 /* as \_S5 in the DSDT says */

struct vm;

struct power {
	uint8_t sleep_control;
};

/*
 * power_read, power_write - one byte at one of the ports above
 * A power-off or reset ends in vm_stop(). Context: vm->lock not held.
 */
uint8_t power_read(struct vm *vm, uint16_t port);
void power_write(struct vm *vm, uint16_t port, uint8_t value);

#endif

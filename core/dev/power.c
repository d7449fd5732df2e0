/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's ways to end: see power.h
 * Documents: ACPI 6.4 sections 4.8.3.6, 4.8.3.7; Intel ICH9 datasheet, "RST_CNT".
 */
#include "core/dev/power.h"
#include "core/vm/vm.h"

/* Sleep control register */
#define SLEEP_TYPE_SHIFT 2
#define SLEEP_TYPE_MASK	 0x7u
#define SLEEP_ENABLE	 0x20u
#define SLEEP_STORED	 (SLEEP_TYPE_MASK << SLEEP_TYPE_SHIFT) /* SLP_EN reads as 0 */

#define KEYBOARD_PULSE_RESET 0xfe /* command: pulse output line 0, which is the CPU's reset */
#define CHIPSET_RESET_CPU    0x04u

uint8_t power_read(struct vm *vm, uint16_t port)
{
	switch (port) {
	case POWER_PORT_SLEEP_CONTROL:
		return __atomic_load_n(&vm->power.sleep_control, __ATOMIC_RELAXED);
	case POWER_PORT_SLEEP_STATUS: /* WAK_STS: it never wakes, since it never sleeps */
	case POWER_PORT_RESET:
	case POWER_PORT_CHIPSET:
		return 0;
	default: /* there is no keyboard controller: only its reset command is understood */
		return UINT8_MAX;
	}
}

static void write_sleep_control(struct vm *vm, uint8_t value)
{
	unsigned int type = value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK;

	__atomic_store_n(&vm->power.sleep_control, value & SLEEP_STORED, __ATOMIC_RELAXED);
	if ((value & SLEEP_ENABLE) && type == POWER_SLEEP_TYPE_S5)
		vm_stop(vm, VM_END_OFF, "power-off");
}

void power_write(struct vm *vm, uint16_t port, uint8_t value)
{
	bool reset = false;

	switch (port) {
	case POWER_PORT_SLEEP_CONTROL:
		write_sleep_control(vm, value);
		break;
	case POWER_PORT_RESET:
		reset = value == POWER_RESET_VALUE;
		break;
	case POWER_PORT_KEYBOARD:
		reset = value == KEYBOARD_PULSE_RESET;
		break;
	case POWER_PORT_CHIPSET:
		reset = value & CHIPSET_RESET_CPU;
		break;
	}
	if (reset)
		vm_stop(vm, VM_END_RESET, "reset");
}

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_POWER_H
#define ARCH_CPU_POWER_H

struct acpi_info;

/*
 * power_init - remember how this machine is switched off and reset
 * @acpi: kept, not copied
 * Maps what platform_power_off() and platform_reset() (platform.h) will need. Boot CPU, once.
 */
void power_init(const struct acpi_info *acpi);

#endif

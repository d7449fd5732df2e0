/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_TSC_H
#define ARCH_CPU_TSC_H

#include "core/types.h"

struct acpi_info;

/*
 * tsc_init - find out the TSC's frequency and put it into tsc_khz (core/time.h)
 *
 * Measured against the ACPI timer, or else the PIT; what CPUID says is taken instead when the
 * measurement agrees, because it is exact. Returns 0, or -ENODEV with a sentence on the console.
 * Context: boot CPU, once; takes about 20 ms.
 */
int tsc_init(const struct acpi_info *acpi);

/* tsc_wait_usec - spin. Context: any, after tsc_init(). */
void tsc_wait_usec(uint64_t usec);

#endif

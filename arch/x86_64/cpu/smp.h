/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ARCH_CPU_SMP_H
#define ARCH_CPU_SMP_H

#include <stdbool.h>
#include <stdint.h>

struct acpi_info;
struct boot_info;

/* smp_reserve_startup_page - find the page below 1 MiB that other CPUs start from. */
void smp_reserve_startup_page(const struct boot_info *boot);

/* smp_init - @acpi: whose CPUs will be started; kept, not copied. */
void smp_init(const struct acpi_info *acpi);

/*
 * smp_start_cpus - bring the other CPUs of the MADT up
 * @entry: what each of them runs, on its own stack, with interrupts off; does not return
 *
 * Returns the number of CPUs now running, this one included. A CPU that does not answer within
 * 100 ms is left out with a message. They are started one after another; the next one when the
 * previous has called smp_cpu_ready() from @entry.
 */
uint32_t smp_start_cpus(void (*entry)(void));

/* smp_cpu_ready - the calling CPU is initialised, or (@ok false) is to be left out. */
void smp_cpu_ready(int ok);

/* smp_kick - make another CPU leave its guest, or its idle loop, and look at its work. */
void smp_kick(uint32_t cpu);

/* smp_halt_others - stop every other CPU for good, by NMI; for panic(). */
void smp_halt_others(void);

/* smp_obey_halt - for the NMI's handler: returns unless the NMI was sent by smp_halt_others(). */
void smp_obey_halt(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* A second CPU in a test guest. */
#ifndef TESTS_GUEST_LIB_SMP_H
#define TESTS_GUEST_LIB_SMP_H

#include <stdint.h>

/*
 * smp_start - INIT and start-up to a CPU; it runs @function, interrupts off, and never comes back
 *
 * One other CPU at a time: there is one stack for it. The caller is in x2APIC mode. An @function
 * that returns halts its CPU with interrupts off.
 */
void smp_start(uint32_t id, void (*function)(void));

/* smp_start_page - the page number that smp_start() starts a CPU at, for a start-up by hand */
uint32_t smp_start_page(void);

#endif

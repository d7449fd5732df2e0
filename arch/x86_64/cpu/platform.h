/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host machine as core/init.c brings it up, in this order. Each function is called once.
 */
#ifndef ARCH_CPU_PLATFORM_H
#define ARCH_CPU_PLATFORM_H

#include "core/types.h"

struct boot_info;

/* platform_early_init - serial port; IDT on the boot stack, so that a bug at least prints. */
void platform_early_init(void);

/*
 * platform_map_memory - final page tables: image W^X, all RAM at the direct map, NX; frames_add()
 *
 * Before that, which memory and CPUs are near each other: frames_set_nodes().
 */
void platform_map_memory(const struct boot_info *boot);

/*
 * platform_switch_stack - leave the boot stack for the boot CPU's own region
 * @next: runs there and does not return
 */
void platform_switch_stack(void (*next)(void)) __attribute__((noreturn));

/* platform_init - ACPI tables, local APIC, TSC frequency. Returns 0 or a negative error, printed.
 */
int platform_init(const struct boot_info *boot);

/* platform_init_cpu - this CPU's descriptor tables, control registers, local APIC. */
void platform_init_cpu(void);

/* platform_node - the calling CPU's NUMA node. Context: any; 0 until platform_init_cpu(). */
uint32_t platform_node(void);

/* platform_set_timer - one interrupt at or soon after @tsc (TIME_NEVER: none). This CPU only. */
void platform_set_timer(uint64_t tsc);

/* platform_idle - wait for an interrupt with interrupts open, then close them. */
void platform_idle(void);

/* platform_irq_window - let pending interrupts in, then close them. Context: no lock held. */
void platform_irq_window(void);

/* platform_power_off, platform_reset - end of the machine's run; fall back to halting. */
void platform_power_off(void) __attribute__((noreturn));
void platform_reset(void) __attribute__((noreturn));
/* platform_halt - stop this CPU for good. */
void platform_halt(void) __attribute__((noreturn));

/* platform_is_bochs - is the machine the emulator Bochs? Context: after platform_init(). */
bool platform_is_bochs(void);

/* platform_wallclock - seconds since 1970 by the real-time clock at boot. */
uint64_t platform_wallclock(void);

/* platform_random - 64 bits from RDRAND, or the TSC's jitter where there is none. */
uint64_t platform_random(void);

#endif

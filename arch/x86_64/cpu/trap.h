/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions and interrupts of the host
 *
 * An exception in the hypervisor is a bug: registers, backtrace, end. The three interrupts that
 * exist, the timer, the kick by another CPU, and the serial port's, only note that the scheduler
 * has something to look at.
 */
#ifndef ARCH_CPU_TRAP_H
#define ARCH_CPU_TRAP_H

#include "core/types.h"

/* Interrupt vectors. The old interrupt controllers are parked, masked, at PIC. */
#define VECTOR_PIC	0x20u /* 16 of them */
#define VECTOR_TIMER	0xe0u
#define VECTOR_KICK	0xe1u
#define VECTOR_SERIAL	0xe2u
#define VECTOR_SPURIOUS 0xffu
#define VECTOR_COUNT	256u

/* What trap_entry.S pushes, and above it what the processor does. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error_code; /* 0 for vectors without one */
	uint64_t rip, cs, rflags, rsp, ss;
};

/* trap_init_early - park the PICs, load an IDT that works on the boot stack. Boot CPU, once. */
void trap_init_early(void);

/* trap_init_cpu - load the IDT with its own stacks for the worst exceptions. After desc_load(). */
void trap_init_cpu(void);

/*
 * trap_set_nmi_panic - what an NMI that nobody here sent does
 * @panic: end, with registers and backtrace, for finding out where a CPU hangs. Otherwise a line on
 * the console tells where the CPU was, as soon as it can print, and it goes on.
 */
void trap_set_nmi_panic(bool panic);

/* trap_report - print what the handlers could not. Context: no lock held, interrupts off. */
void trap_report(void);

/* trap_handle - called by trap_entry.S, interrupts off. Returns only from what can go on. */
void trap_handle(struct trap_frame *frame);

#endif

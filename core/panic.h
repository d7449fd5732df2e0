/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CORE_PANIC_H
#define CORE_PANIC_H

/*
 * panic - a bug in the hypervisor: say what, show a symbolised backtrace, stop every CPU
 *
 * Never reachable by what a guest does. Context: any.
 */
void panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/*
 * panic_begin - stop the other CPUs and take the console, to print last words in another form
 *
 * Returns on the first CPU that calls it; halts any other, and the same one when it comes again.
 * The caller prints and ends in platform_halt(). Context: any.
 */
void panic_begin(void);

/* BUG_ON - a condition that only a bug in the hypervisor can make true. */
#define BUG_ON(cond)                                                                               \
	do {                                                                                       \
		if (__builtin_expect(!!(cond), 0))                                                 \
			panic("%s:%d: %s", __FILE__, __LINE__, #cond);                             \
	} while (0)

#endif

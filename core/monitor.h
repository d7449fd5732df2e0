/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operator's command line on the serial console, and the way from there to a guest's console
 *
 * Ctrl-T leads what is typed from the monitor to the first running guest, to the next, and back.
 * docs/manual.md lists the commands; monitor_commands[] is the table that they and `help` come
 * from.
 */
#ifndef CORE_MONITOR_H
#define CORE_MONITOR_H

#include "core/types.h"

struct vm;

/* The CPU that serves the console. */
#define MONITOR_CPU 0u

#define MONITOR_LINE_MAX 80 /* characters of a command line */

/* What stands behind a command. */
enum monitor_argument { MONITOR_NO_ARGUMENT, MONITOR_GUEST, MONITOR_GUEST_SIZE };

struct monitor_command {
	const char *name;
	enum monitor_argument argument;
	const char *help;
	union {
		void (*run)(struct vm *vm); /* @vm: NULL unless the argument is a guest */
		void (*run_size)(struct vm *vm, uint64_t bytes); /* of MONITOR_GUEST_SIZE */
	};
};

extern const struct monitor_command monitor_commands[];
extern const unsigned int monitor_command_count;

/*
 * monitor_evict - have monitor_poll() drop a guest's ephemeral pages in the store, a few a call
 * @pages: so many at most
 *
 * Returns false while another guest's are being dropped. Context: MONITOR_CPU.
 */
bool monitor_evict(struct vm *vm, uint64_t pages);

/* monitor_start - show from monitor_poll() what is printed. Context: boot CPU; sched_run() follows.
 */
void monitor_start(void);

/*
 * monitor_poll - take what was typed, and show what it leads to, and what others have printed
 *
 * Bounded: at most a few characters, one command, one line of the log. Returns the TSC of the
 * moment when it wants to be called again. Context: MONITOR_CPU, no lock held, no vCPU entered.
 */
uint64_t monitor_poll(uint64_t now);

/*
 * monitor_input - what monitor_poll() does with each byte that was typed
 * Context: as there.
 */
void monitor_input(uint8_t byte);

/*
 * monitor_execute - carry out a command line; a sentence on the console says what is wrong with it
 * Returns 0 or -EINVAL.
 */
int monitor_execute(const char *line);

/* monitor_show_log - have the console's ring shown again, a line at each monitor_poll(). */
void monitor_show_log(void);

#endif

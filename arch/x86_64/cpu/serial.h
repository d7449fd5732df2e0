/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's first serial port, a 16550 at the PC's place: 115200 baud, 8 bits, no parity. */
#ifndef ARCH_CPU_SERIAL_H
#define ARCH_CPU_SERIAL_H

#include <stdbool.h>
#include <stddef.h>

/* serial_init - set the port up. Returns whether there is one. */
bool serial_init(void);

/*
 * serial_write - send text, a carriage return before each newline
 * @wait: for the port, but not for ever. Without, the port takes what its FIFO holds, if that is
 *	  empty. A port that stays full for 200 ms is stuck, and what it does not take is lost.
 *
 * Returns how much was taken. Context: one CPU at a time; time_ns_to_ticks() works if not @wait.
 */
size_t serial_write(const char *text, size_t len, bool wait);

/* serial_read - the next byte that has arrived, or -1. Does not wait. Context: one CPU at a time.
 */
int serial_read(void);

/*
 * serial_enable_interrupt - have the port raise its interrupt when it has received something
 * serial_note_interrupt - it has. Context: the interrupt's handler.
 * serial_take_interrupt - has it, since this was last asked? Context: the CPU that handles it,
 *			   interrupts off.
 */
void serial_enable_interrupt(void);
void serial_note_interrupt(void);
bool serial_take_interrupt(void);

/* serial_drain - wait until the last character has left the port; before power-off. */
void serial_drain(void);

#endif

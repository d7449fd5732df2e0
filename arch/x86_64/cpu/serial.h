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
 * Waits for the port, but not for ever: what a stuck port does not take is lost.
 */
void serial_write(const char *text, size_t len);

/* serial_read - the next byte that has arrived, or -1. Does not wait. Context: one CPU at a time.
 */
int serial_read(void);

/* serial_drain - wait until the last character has left the port; before power-off. */
void serial_drain(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints long lines, as many as "lines=" says; with "rude" first a thousand bytes without looking
 * whether the serial port has room, of which it may lose what the port has no room for.
 */
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

#define LINES_DEFAULT 20
#define RUDE_BYTES    1000u
#define UART_DATA     0x3f8

const char test_name[] = "talk";

void test_main(void)
{
	uint64_t lines = cmdline_number("lines=", LINES_DEFAULT);

	for (unsigned int i = 0; cmdline_has("rude") && i < RUDE_BYTES; i++)
		out8(UART_DATA, i % 10 ? 'x' : '\n');
	print("\n");
	for (uint64_t line = 1; line <= lines; line++) {
		print("talk: %lu: ", line);
		for (unsigned int i = 0; i < 17; i++)
			print("0123456789");
		print("\n");
	}
}

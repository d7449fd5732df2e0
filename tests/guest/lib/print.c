/* SPDX-License-Identifier: BSD-2-Clause */
/* Text on the serial port, by polling: it works with interrupts off and in any handler. */
#include <stdarg.h>
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/print.h"
#include "tests/guest/lib/test.h"

#define UART_DATA      0x3f8
#define UART_LSR       0x3fd
#define UART_LSR_EMPTY 0x20
#define DIGITS_MAX     20 /* of 2^64 - 1 */

static void put_char(char c)
{
	while (!(in8(UART_LSR) & UART_LSR_EMPTY))
		continue;
	out8(UART_DATA, (uint8_t)c);
}

static void put_string(const char *text)
{
	while (*text)
		put_char(*text++);
}

static void put_number(uint64_t value, unsigned int base, int width, char pad)
{
	char digits[DIGITS_MAX];
	int count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (; width > count; width--)
		put_char(pad);
	while (count)
		put_char(digits[--count]);
}

void vprint(const char *fmt, va_list args)
{
	for (; *fmt; fmt++) {
		bool wide = false;
		char pad = ' ';
		int width = 0;
		int64_t number;

		if (*fmt != '%') {
			put_char(*fmt);
			continue;
		}
		if (*++fmt == '0')
			pad = *fmt++;
		while (*fmt >= '0' && *fmt <= '9')
			width = width * 10 + (*fmt++ - '0');
		while (*fmt == 'l') {
			wide = true;
			fmt++;
		}
		switch (*fmt) {
		case 'd':
			number = wide ? va_arg(args, int64_t) : va_arg(args, int);
			if (number < 0)
				put_char('-');
			put_number(number < 0 ? -(uint64_t)number : (uint64_t)number, 10, width,
				   pad);
			break;
		case 'u':
		case 'x':
			put_number(wide ? va_arg(args, uint64_t) : va_arg(args, unsigned int),
				   *fmt == 'x' ? 16 : 10, width, pad);
			break;
		case 's':
			put_string(va_arg(args, const char *));
			break;
		case 'c':
			put_char((char)va_arg(args, int));
			break;
		default:
			put_char(*fmt);
		}
	}
}

void print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprint(fmt, args);
	va_end(args);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The serial port as drivers use it. The I/O APIC is a recorder here: levels and edges of the line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/dev/uart.h"
#include "tests/unit/dev_host.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

#define MCR_LOOP 0x10
#define MCR_OUT2 0x08
#define DLAB	 0x80

static bool line;
static unsigned int edges;

void ioapic_reset(struct ioapic *ioapic)
{
	(void)ioapic;
}

void ioapic_set_line(struct vm *vm, unsigned int pin, bool high)
{
	assert_ptr_equal(vm, &host_vm);
	assert_int_equal(pin, UART_IRQ);
	edges += high && !line;
	line = high;
}

void lapic_reset(struct lapic *lapic, uint32_t id)
{
	(void)lapic;
	(void)id;
}

static uint8_t in(unsigned int reg)
{
	return uart_read(&host_vm, reg);
}

static void out(unsigned int reg, unsigned int value)
{
	uart_write(&host_vm, reg, (uint8_t)value);
}

static void print(const char *text)
{
	while (*text)
		out(DATA, (uint8_t)*text++);
}

static int setup(void **state)
{
	(void)state;
	host_reset();
	line = false;
	edges = 0;
	return 0;
}

/* What Linux's autoconfig() does, in its order, until it says "16550A". */
static void test_linux_detects_16550a(void **state)
{
	unsigned int fifo, wide_fifo, count;

	(void)state;
	out(IER, 0);
	assert_int_equal(in(IER)&0x0f, 0);
	out(IER, 0x0f);
	assert_int_equal(in(IER)&0x0f, 0x0f);
	out(IER, 0);

	out(MCR, MCR_LOOP | 0x0a);
	assert_int_equal(in(MSR)&0xf0, 0x90);
	out(MCR, 0);

	out(LCR, 0xbf); /* a register of larger chips would appear */
	out(FCR, 0);
	out(LCR, 0);
	out(FCR, 0x01);
	assert_int_equal(in(IIR) >> 6, 3);

	out(LCR, DLAB); /* no EFR: it would read as zero */
	assert_int_not_equal(in(IIR), 0);
	out(LCR, 0xbf);
	assert_int_not_equal(in(IIR), 0);

	/* Not National's SuperIO: MCR's loop bit does not show in bank 2. */
	out(LCR, 0);
	out(MCR, MCR_LOOP);
	out(LCR, 0xe0);
	assert_int_equal(in(IIR)&MCR_LOOP, 0);
	out(LCR, 0);
	out(MCR, 0);

	/* Not a 16750: bit 5 of IIR does not follow the 64-byte enable. */
	out(FCR, 0x21);
	fifo = in(IIR) >> 5;
	out(FCR, 0x01);
	out(LCR, DLAB);
	out(FCR, 0x21);
	wide_fifo = in(IIR) >> 5;
	out(LCR, 0);
	assert_int_equal(fifo, 6);
	assert_int_equal(wide_fifo, 6);

	out(IER, 0x40); /* not an XScale: no unit enable */
	assert_int_equal(in(IER), 0);

	/* The FIFO's size, by loopback. */
	out(FCR, 0x07);
	out(MCR, MCR_LOOP);
	for (unsigned int i = 0; i < 256; i++)
		out(DATA, i);
	for (count = 0; (in(LSR)&1) && count < 256; count++)
		assert_int_equal(in(DATA), count);
	assert_int_equal(count, 16);
	assert_int_equal(host.console_writes, 0);
}

static void test_registers(void **state)
{
	(void)state;
	out(SCR, 0x5a);
	assert_int_equal(in(SCR), 0x5a);
	out(LCR, DLAB | 3);
	out(DATA, 0x34);
	out(IER, 0x12);
	assert_int_equal(in(DATA), 0x34);
	assert_int_equal(in(IER), 0x12);
	assert_int_equal(host_vm.uart.divisor, 0x1234);
	out(LCR, 3);
	assert_int_equal(in(LCR), 3);
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR), 0xb0);
	assert_int_equal(in(DATA), 0); /* nothing received */
	out(MCR, 0xff);
	assert_int_equal(in(MCR), 0x1f);
	assert_int_equal(in(8), 0xff);
	out(8, 1);
	assert_false(line);
}

static void test_loopback_modem_lines(void **state)
{
	(void)state;
	out(MCR, MCR_LOOP);
	assert_int_equal(in(MSR), 0);
	out(MCR, MCR_LOOP | 0x01); /* DTR to DSR */
	assert_int_equal(in(MSR), 0x20);
	out(MCR, MCR_LOOP | 0x02); /* RTS to CTS */
	assert_int_equal(in(MSR), 0x10);
	out(MCR, MCR_LOOP | 0x04); /* OUT1 to RI */
	assert_int_equal(in(MSR), 0x40);
	out(MCR, MCR_LOOP | 0x0f); /* and OUT2 to DCD */
	assert_int_equal(in(MSR), 0xf0);
}

static void test_backspace(void **state)
{
	(void)state;
	print("\b\blsx\b \b -l\n"); /* as a shell takes back a character: back, blank, back */
	assert_string_equal(host.console, "web| ls -l\n");
}

static void test_transmit_interrupt(void **state)
{
	(void)state;
	out(MCR, MCR_OUT2);
	assert_int_equal(in(IIR), 0x01);
	/* Enabling raises it, reading IIR acknowledges it, enabling again raises it again. */
	out(IER, 0x02);
	assert_true(line);
	assert_int_equal(in(IIR), 0x02);
	assert_false(line);
	assert_int_equal(in(IIR), 0x01);
	out(IER, 0x02);
	assert_false(line);
	out(IER, 0);
	out(IER, 0x02);
	assert_true(line);
	assert_int_equal(edges, 2);
	/* Each byte empties the holding register again, and is an edge of its own. */
	out(DATA, 'a');
	assert_true(line);
	assert_int_equal(edges, 3);
	assert_int_equal(in(IIR), 0x02);
	out(DATA, 'b');
	assert_int_equal(edges, 4);
	out(IER, 0);
	assert_false(line);
}

static void test_interrupt_needs_out2(void **state)
{
	(void)state;
	out(IER, 0x02);
	assert_false(line);
	out(MCR, MCR_OUT2);
	assert_true(line);
	out(MCR, MCR_OUT2 | MCR_LOOP);
	assert_false(line);
}

static void test_receive(void **state)
{
	(void)state;
	out(MCR, MCR_OUT2);
	out(FCR, 1);
	out(IER, 0x01);
	uart_receive(&host_vm, 'x');
	uart_receive(&host_vm, 'y');
	assert_true(line);
	assert_int_equal(in(IIR), 0xc4);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(DATA), 'x');
	assert_true(line);
	assert_int_equal(in(DATA), 'y');
	assert_false(line);
	assert_int_equal(in(IIR), 0xc1);
	assert_int_equal(in(LSR), 0x60);
}

static void test_overrun(void **state)
{
	(void)state;
	out(MCR, MCR_OUT2);
	out(IER, 0x05);
	/* So often that the counters have wrapped around the buffer, not a multiple of its size. */
	for (unsigned int i = 0; i < UART_INPUT_MAX + 7; i++) {
		uart_receive(&host_vm, 1);
		assert_int_equal(in(DATA), 1);
	}
	for (unsigned int i = 0; i < UART_INPUT_MAX + 1; i++)
		uart_receive(&host_vm, (uint8_t)i);
	assert_int_equal(in(IIR), 0x06); /* before the received data */
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(IIR), 0x04);
	for (unsigned int i = 0; i < UART_INPUT_MAX; i++)
		assert_int_equal(in(DATA), i);
	assert_int_equal(in(LSR), 0x60);
}

static void test_fifo_clear(void **state)
{
	(void)state;
	out(FCR, 1);
	uart_receive(&host_vm, 'x');
	out(FCR, 1);
	assert_int_equal(in(LSR)&1, 1);
	out(FCR, 3);
	assert_int_equal(in(LSR)&1, 0);
	uart_receive(&host_vm, 'x');
	out(FCR, 0); /* switching it off empties it as well */
	assert_int_equal(in(LSR)&1, 0);
}

static void test_loopback_is_cut_off(void **state)
{
	(void)state;
	out(MCR, MCR_LOOP);
	uart_receive(&host_vm, 'x');
	assert_int_equal(in(LSR)&1, 0);
	out(DATA, 'a'); /* without FIFO, one byte waits, the next one overruns */
	out(DATA, 'b');
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(host.console_writes, 0);
}

static void test_lines(void **state)
{
	(void)state;
	print("hello\r\nwor");
	assert_string_equal(host.console, "web| hello\n");
	print("ld\n\n");
	assert_string_equal(host.console, "web| hello\nweb| world\nweb| \n");
	assert_int_equal(host.console_writes, 3);
}

/* Behind a line the transmitter is busy until that is shown. */
static void test_lines_are_waited_for(void **state)
{
	(void)state;
	host.console_slow = true;
	print("hell");
	assert_int_equal(in(LSR), 0x60);
	print("o\n");
	assert_int_equal(in(LSR), 0);
	uart_go_on(&host_vm);
	assert_int_equal(in(LSR), 0);
	host.console_shown = host.console_len;
	assert_int_equal(in(LSR), 0x60); /* who polls need not wait for uart_go_on() */

	out(MCR, MCR_OUT2);
	out(IER, 2);
	assert_true(line);
	print("x\n");
	assert_false(line);
	edges = 0;
	out(IER, 0); /* switched on again while it is busy, the interrupt does not come either */
	out(IER, 2);
	assert_int_equal(edges, 0);
	host.console_shown = host.console_len;
	uart_go_on(&host_vm);
	assert_int_equal(edges, 1);
	uart_go_on(&host_vm); /* once */
	assert_int_equal(in(IIR)&0x0f, 2);
	uart_go_on(&host_vm);
	assert_false(line);
}

/* Who writes without looking gets a FIFO's worth through, newlines or not. */
static void test_what_a_busy_transmitter_does_not_hold_is_lost(void **state)
{
	(void)state;
	host.console_slow = true;
	print("\n");
	for (unsigned int i = 0; i < 1000; i++)
		print("\n");
	assert_int_equal(host.console_writes, 1 + UART_FIFO);
	host.console_shown = host.console_len;
	print("\n");
	assert_int_equal(host.console_writes, 1 + UART_FIFO); /* it has not looked yet */
	assert_int_equal(in(LSR), 0x60);
	print("\n");
	assert_int_equal(host.console_writes, 2 + UART_FIFO);
}

static void test_flush_prints_a_prompt(void **state)
{
	(void)state;
	uart_flush(&host_vm);
	assert_int_equal(host.console_writes, 0);
	print("login: ");
	uart_flush(&host_vm);
	uart_flush(&host_vm);
	assert_string_equal(host.console, "web| login: \n");
	assert_int_equal(host.console_writes, 1);
}

static void test_long_lines_are_split(void **state)
{
	char expected[UART_LINE_MAX + 32] = "web| ";

	(void)state;
	for (unsigned int i = 0; i < UART_LINE_MAX + 1; i++)
		out(DATA, 'x');
	memset(expected + 5, 'x', UART_LINE_MAX);
	strcpy(expected + 5 + UART_LINE_MAX, "\n");
	assert_string_equal(host.console, expected);
	out(DATA, '\n');
	strcat(expected, "web| x\n");
	assert_string_equal(host.console, expected);
}

static void test_longest_name(void **state)
{
	(void)state;
	memset(host_vm.name, 'n', CONFIG_NAME_MAX); /* not even terminated */
	for (unsigned int i = 0; i < UART_LINE_MAX; i++)
		out(DATA, 'x');
	out(DATA, '\n');
	assert_int_equal(host.console_len, CONFIG_NAME_MAX + 2 + UART_LINE_MAX + 1);
}

static void check_text(const char *sent, const char *printed)
{
	char expected[256] = "web| ";

	host_reset();
	print(sent);
	print("\n");
	strcat(expected, printed);
	strcat(expected, "\n");
	assert_string_equal(host.console, expected);
}

static void test_escape_sequences_are_removed(void **state)
{
	(void)state;
	check_text("\x1b[1;31mred\x1b[0m", "red");
	check_text("a\x1b]0;title\x07z", "az");
	check_text("a\x1b]0;title\x1b\\z", "az");
	check_text("a\x1bP1$r\x1b\\z", "az");
	check_text("a\x1b^pm\x1b\\z", "az");
	check_text("a\x1b_apc\x1b\\z", "az");
	check_text("a\x1bXsos\x1b\\z", "az");
	check_text("a\x1b(Bz", "az");
	check_text("a\x1b(0z", "az");
	check_text(" ~", " ~");
	check_text("a\x1b"
		   "cz",
		   "az");
	check_text("a\x1b\x1b[2Jz", "az");
	check_text("a\x1b[12\x1b[2Jz", "az");
	check_text("a\x9b"
		   "2Jz",
		   "a?2Jz");
	check_text("\t\x01\x7f\xc3\xa4", "\t????");
	check_text("a\x1b[\x18z",
		   "a"); /* cancelled by a terminal; here it eats up to a final byte */
}

static void test_escape_ends_with_the_line(void **state)
{
	(void)state;
	print("\x1b]hidden\nseen\n");
	assert_non_null(strstr(host.console, "web| seen\n"));
}

static void test_no_byte_reaches_the_terminal_raw(void **state)
{
	(void)state;
	srand(1);
	for (unsigned int i = 0; i < 100000; i++) {
		host.console_len = 0;
		out(DATA, (unsigned int)rand());
		for (size_t k = 0; k < host.console_len; k++) {
			char c = host.console[k];

			assert_true((c >= ' ' && c <= '~') || c == '\t' || c == '\n');
		}
	}
}

/* Any order of accesses to any register leaves a machine that works. */
static void test_random_accesses(void **state)
{
	(void)state;
	srand(2);
	for (unsigned int i = 0; i < 200000; i++) {
		unsigned int reg = (unsigned int)rand() % 9;

		host.console_len = 0;
		switch (rand() % 3) {
		case 0:
			in(reg);
			break;
		case 1:
			out(reg, (unsigned int)rand());
			break;
		default:
			uart_receive(&host_vm, (uint8_t)rand());
		}
		assert_true(host_vm.uart.line_len <= UART_LINE_MAX);
		assert_true(host_vm.uart.input_head - host_vm.uart.input_tail <= UART_INPUT_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_linux_detects_16550a, setup),
		cmocka_unit_test_setup(test_registers, setup),
		cmocka_unit_test_setup(test_loopback_modem_lines, setup),
		cmocka_unit_test_setup(test_backspace, setup),
		cmocka_unit_test_setup(test_transmit_interrupt, setup),
		cmocka_unit_test_setup(test_interrupt_needs_out2, setup),
		cmocka_unit_test_setup(test_receive, setup),
		cmocka_unit_test_setup(test_overrun, setup),
		cmocka_unit_test_setup(test_fifo_clear, setup),
		cmocka_unit_test_setup(test_loopback_is_cut_off, setup),
		cmocka_unit_test_setup(test_lines, setup),
		cmocka_unit_test_setup(test_lines_are_waited_for, setup),
		cmocka_unit_test_setup(test_what_a_busy_transmitter_does_not_hold_is_lost, setup),
		cmocka_unit_test_setup(test_flush_prints_a_prompt, setup),
		cmocka_unit_test_setup(test_long_lines_are_split, setup),
		cmocka_unit_test_setup(test_longest_name, setup),
		cmocka_unit_test_setup(test_escape_sequences_are_removed, setup),
		cmocka_unit_test_setup(test_escape_ends_with_the_line, setup),
		cmocka_unit_test_setup(test_no_byte_reaches_the_terminal_raw, setup),
		cmocka_unit_test_setup(test_random_accesses, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

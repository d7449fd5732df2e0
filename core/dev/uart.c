/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 16550A: transmits at once but for the end of a line; receives into a buffer
 *
 * What a guest prints ends on the terminal of whoever runs the hypervisor, so it is untrusted text
 * for a trusting device: escape sequences are taken out, and every other byte that is not printable
 * ASCII becomes a '?'. A backspace takes the line's last character back.
 * Documents: TI TL16C550C datasheet, "Principles of Operation"; ECMA-48 for escape sequences.
 */
#include "core/dev/uart.h"
#include "core/console.h"
#include "core/string.h"
#include "core/vm/vm.h"

/* Registers; the first two are the divisor while LCR_DLAB is set. */
enum {
	REG_DATA, /* RBR to read, THR to write */
	REG_IER,
	REG_IIR, /* FCR to write */
	REG_LCR,
	REG_MCR,
	REG_LSR,
	REG_MSR,
	REG_SCR,
};

#define IER_RECEIVE  0x01u
#define IER_TRANSMIT 0x02u
#define IER_LINE     0x04u
#define IER_MASK     0x0fu

#define IIR_NONE     0x01u
#define IIR_TRANSMIT 0x02u
#define IIR_RECEIVE  0x04u
#define IIR_LINE     0x06u
#define IIR_FIFO     0xc0u

#define FCR_ENABLE	  0x01u
#define FCR_CLEAR_RECEIVE 0x02u

#define LCR_DLAB 0x80u

#define MCR_DTR	 0x01u
#define MCR_RTS	 0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u /* on a PC, lets the chip's interrupt through to the I/O APIC */
#define MCR_LOOP 0x10u
#define MCR_MASK 0x1fu

#define LSR_DATA_READY	0x01u
#define LSR_OVERRUN	0x02u
#define LSR_THR_EMPTY	0x20u
#define LSR_TRANS_EMPTY 0x40u

#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI	0x40u
#define MSR_DCD 0x80u

#define DIVISOR_9600 12

/* Where in an escape sequence the output is. */
enum escape {
	ESCAPE_NONE,
	ESCAPE_START,	/* after ESC */
	ESCAPE_CSI,	/* ESC [, up to a byte from '@' to '~' */
	ESCAPE_STRING,	/* ESC ] and its like, up to BEL or ESC \ */
	ESCAPE_CHARSET, /* ESC and a byte from ' ' to '/': up to a byte from '0' to '~' */
};

#define ASCII_BEL 0x07
#define ASCII_ESC 0x1b

#define LINE_MARK "| "

void uart_reset(struct uart *uart)
{
	*uart = (struct uart){.divisor = DIVISOR_9600};
}

/* In one piece, so that lines of guests on different CPUs do not mix. */
static void print_line(struct vm *vm)
{
	struct uart *uart = &vm->uart;
	char text[CONFIG_NAME_MAX + sizeof(LINE_MARK) + UART_LINE_MAX + 1];
	size_t len = strnlen(vm->name, CONFIG_NAME_MAX);

	memcpy(text, vm->name, len);
	memcpy(text + len, LINE_MARK, sizeof(LINE_MARK) - 1);
	len += sizeof(LINE_MARK) - 1;
	memcpy(text + len, uart->line, uart->line_len);
	len += uart->line_len;
	text[len++] = '\n';
	uart->line_len = 0;
	uart->line_end = console_write(text, len);
}

void uart_flush(struct vm *vm)
{
	if (vm->uart.line_len)
		print_line(vm);
}

/* Consumes a byte inside an escape sequence. Returns whether it did, or it is ordinary text. */
static bool skip_escape(struct uart *uart, uint8_t byte)
{
	if (byte == ASCII_ESC) {
		uart->escape = ESCAPE_START;
		return true;
	}
	switch (uart->escape) {
	case ESCAPE_START:
		if (byte == '[')
			uart->escape = ESCAPE_CSI;
		else if (byte == ']' || byte == 'P' || byte == 'X' || byte == '^' || byte == '_')
			uart->escape = ESCAPE_STRING;
		else if (byte >= ' ' && byte <= '/')
			uart->escape = ESCAPE_CHARSET;
		else
			uart->escape = ESCAPE_NONE;
		return true;
	case ESCAPE_CSI:
		if (byte >= '@' && byte <= '~')
			uart->escape = ESCAPE_NONE;
		return true;
	case ESCAPE_STRING:
		if (byte == ASCII_BEL)
			uart->escape = ESCAPE_NONE;
		return true;
	case ESCAPE_CHARSET:
		if (byte >= '0' && byte <= '~')
			uart->escape = ESCAPE_NONE;
		return true;
	default:
		return false;
	}
}

static void append(struct vm *vm, char c)
{
	struct uart *uart = &vm->uart;

	if (uart->line_len == UART_LINE_MAX)
		print_line(vm);
	uart->line[uart->line_len++] = c;
}

/* A newline also ends any escape sequence, so that none hides a line. */
void uart_print(struct vm *vm, uint8_t byte)
{
	struct uart *uart = &vm->uart;

	if (byte == '\n') {
		uart->escape = ESCAPE_NONE;
		print_line(vm);
		return;
	}
	if (skip_escape(uart, byte) || byte == '\r')
		return;
	if (byte == '\b') { /* how a shell takes back a character that was typed */
		if (uart->line_len > 0)
			uart->line_len--;
		return;
	}
	append(vm, (byte >= ' ' && byte <= '~') || byte == '\t' ? (char)byte : '?');
}

static uint32_t input_count(const struct uart *uart)
{
	return uart->input_head - uart->input_tail;
}

/* The most urgent interrupt that is enabled. Modem status never changes by itself. */
static uint8_t interrupt_id(const struct uart *uart)
{
	if ((uart->ier & IER_LINE) && uart->overrun)
		return IIR_LINE;
	if ((uart->ier & IER_RECEIVE) && input_count(uart))
		return IIR_RECEIVE;
	if ((uart->ier & IER_TRANSMIT) && uart->thr_empty_pending)
		return IIR_TRANSMIT;
	return IIR_NONE;
}

static void update_line(struct vm *vm)
{
	const struct uart *uart = &vm->uart;
	bool connected = (uart->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	ioapic_set_line(vm, UART_IRQ, connected && interrupt_id(uart) != IIR_NONE);
}

/* @depth: how many bytes may wait. */
static void queue_input(struct uart *uart, uint8_t byte, uint32_t depth)
{
	if (input_count(uart) >= depth)
		uart->overrun = true;
	else
		uart->input[uart->input_head++ % UART_INPUT_MAX] = byte;
}

void uart_receive(struct vm *vm, uint8_t byte)
{
	if (vm->uart.mcr & MCR_LOOP) /* the chip's input is cut off */
		return;
	queue_input(&vm->uart, byte, UART_INPUT_MAX);
	update_line(vm);
}

/* Look whether the transmitter is busy; if it is not any more, that is worth an interrupt. */
static void update_transmitter(struct vm *vm)
{
	struct uart *uart = &vm->uart;
	bool waiting = !console_has_shown(uart->line_end);

	__atomic_store_n(&uart->waiting, waiting, __ATOMIC_RELAXED);
	if (waiting)
		return;
	uart->ahead = 0;
	uart->thr_empty_pending = true;
	update_line(vm);
}

void uart_go_on(struct vm *vm)
{
	if (vm->uart.waiting)
		update_transmitter(vm);
}

static void transmit(struct vm *vm, uint8_t byte)
{
	struct uart *uart = &vm->uart;

	/* Full for a moment: the pending interrupt goes away, and comes back as a new edge. */
	uart->thr_empty_pending = false;
	update_line(vm);
	if (uart->mcr & MCR_LOOP)
		queue_input(uart, byte, uart->fcr & FCR_ENABLE ? UART_FIFO : 1);
	else if (!uart->waiting || uart->ahead++ < UART_FIFO) /* else it is lost */
		uart_print(vm, byte);
	update_transmitter(vm);
}

static uint8_t read_data(struct vm *vm)
{
	struct uart *uart = &vm->uart;
	uint8_t byte;

	if (!input_count(uart))
		return 0;
	byte = uart->input[uart->input_tail++ % UART_INPUT_MAX];
	update_line(vm);
	return byte;
}

static uint8_t read_iir(struct vm *vm)
{
	struct uart *uart = &vm->uart;
	uint8_t id = interrupt_id(uart);

	if (id == IIR_TRANSMIT) { /* reading is what acknowledges this one */
		uart->thr_empty_pending = false;
		update_line(vm);
	}
	return uart->fcr & FCR_ENABLE ? id | IIR_FIFO : id;
}

static uint8_t read_lsr(struct vm *vm)
{
	struct uart *uart = &vm->uart;
	uint8_t value;

	uart_go_on(vm);
	value = uart->waiting ? 0 : LSR_THR_EMPTY | LSR_TRANS_EMPTY;
	if (input_count(uart))
		value |= LSR_DATA_READY;
	if (uart->overrun) {
		value |= LSR_OVERRUN;
		uart->overrun = false;
		update_line(vm);
	}
	return value;
}

/* In loopback the modem's inputs are wired to the chip's own outputs, else to a ready modem. */
static uint8_t read_msr(const struct uart *uart)
{
	uint8_t value = 0;

	if (!(uart->mcr & MCR_LOOP))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	if (uart->mcr & MCR_RTS)
		value |= MSR_CTS;
	if (uart->mcr & MCR_DTR)
		value |= MSR_DSR;
	if (uart->mcr & MCR_OUT1)
		value |= MSR_RI;
	if (uart->mcr & MCR_OUT2)
		value |= MSR_DCD;
	return value;
}

uint8_t uart_read(struct vm *vm, unsigned int reg)
{
	struct uart *uart = &vm->uart;
	bool dlab = uart->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? (uint8_t)uart->divisor : read_data(vm);
	case REG_IER:
		return dlab ? (uint8_t)(uart->divisor >> 8) : uart->ier;
	case REG_IIR:
		return read_iir(vm);
	case REG_LCR:
		return uart->lcr;
	case REG_MCR:
		return uart->mcr;
	case REG_LSR:
		return read_lsr(vm);
	case REG_MSR:
		return read_msr(uart);
	case REG_SCR:
		return uart->scr;
	default:
		return UINT8_MAX;
	}
}

static void write_ier(struct vm *vm, uint8_t value)
{
	struct uart *uart = &vm->uart;
	uint8_t changed = uart->ier ^ value;

	uart->ier = value & IER_MASK;
	/* While the transmitter is empty, enabling its interrupt raises it. */
	if (changed & IER_TRANSMIT)
		uart->thr_empty_pending = value & IER_TRANSMIT && !uart->waiting;
	update_line(vm);
}

static void write_fcr(struct vm *vm, uint8_t value)
{
	struct uart *uart = &vm->uart;

	/* Switching the FIFOs on or off empties them. */
	if ((value & FCR_CLEAR_RECEIVE) || ((value ^ uart->fcr) & FCR_ENABLE))
		uart->input_tail = uart->input_head;
	uart->fcr = value;
	update_line(vm);
}

void uart_write(struct vm *vm, unsigned int reg, uint8_t value)
{
	struct uart *uart = &vm->uart;
	bool dlab = uart->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			uart->divisor = (uint16_t)((uart->divisor & 0xff00) | value);
		else
			transmit(vm, value);
		break;
	case REG_IER:
		if (dlab)
			uart->divisor = (uint16_t)((uart->divisor & 0x00ff) | value << 8);
		else
			write_ier(vm, value);
		break;
	case REG_IIR:
		write_fcr(vm, value);
		break;
	case REG_LCR:
		uart->lcr = value;
		break;
	case REG_MCR:
		uart->mcr = value & MCR_MASK;
		update_line(vm);
		break;
	case REG_SCR:
		uart->scr = value;
		break;
	}
}

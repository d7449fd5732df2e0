/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's 16550A at 0x3f8, interrupt line 4. Output goes line by line to the hypervisor's
 * console with the guest's name in front. Behind each line the transmitter is busy until the
 * console's device has taken it: so a guest that prints waits for the device, and nobody else does.
 * Documents: TI TL16C550C datasheet.
 */
#ifndef CORE_DEV_UART_H
#define CORE_DEV_UART_H

#include "core/types.h"

#define UART_PORT      0x3f8
#define UART_PORTS     8
#define UART_IRQ       4
#define UART_FIFO      16  /* bytes, as the chip has: what the loopback test finds */
#define UART_LINE_MAX  200 /* longer lines are printed in pieces */
#define UART_INPUT_MAX 64  /* a power of two */

struct vm;

struct uart {
	uint8_t ier, lcr, mcr, scr, fcr;
	uint16_t divisor;
	bool thr_empty_pending;	  /* the transmit interrupt is due */
	bool waiting;		  /* atomic: the transmitter is busy */
	uint32_t ahead;		  /* bytes written while it was */
	uint64_t line_end;	  /* where in the console's output the last line ends */
	char line[UART_LINE_MAX]; /* output not yet printed: up to the next newline */
	uint32_t line_len;
	uint8_t escape; /* where in an escape sequence the output is: enum escape in uart.c */
	uint8_t input[UART_INPUT_MAX];
	uint32_t input_head, input_tail; /* count up for ever; head - tail bytes are waiting */
	bool overrun;			 /* input was dropped since the guest last read LSR */
};

/* uart_reset - power-on state. */
void uart_reset(struct uart *uart);

/* uart_read, uart_write - register 0..7. Context: vm->lock held. */
uint8_t uart_read(struct vm *vm, unsigned int reg);
void uart_write(struct vm *vm, unsigned int reg, uint8_t value);

/*
 * uart_print - one byte of output, as if the guest had sent it; also for other devices that print
 * Context: vm->lock held.
 */
void uart_print(struct vm *vm, uint8_t byte);

/* uart_receive - a byte for the guest; dropped (overrun) when its buffer is full. vm->lock held. */
void uart_receive(struct vm *vm, uint8_t byte);

/* uart_go_on - the console has shown something: maybe what the guest waits for. vm->lock held. */
void uart_go_on(struct vm *vm);

/* uart_flush - print what is left of an unfinished line; when the guest stops. vm->lock held. */
void uart_flush(struct vm *vm);

#endif

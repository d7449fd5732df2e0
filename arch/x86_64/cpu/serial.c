/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Documents: PC16550D data sheet, section 8
 */
#include "arch/x86_64/cpu/serial.h"
#include "arch/x86_64/cpu/cpu.h"
#include "core/time.h"

#define UART_BASE 0x3f8

enum {
	UART_DATA = UART_BASE, /* divisor low while DLAB is set */
	UART_INT_ENABLE,       /* divisor high while DLAB is set */
	UART_FIFO_CONTROL,     /* reading: interrupt identification */
	UART_LINE_CONTROL,
	UART_MODEM_CONTROL,
	UART_LINE_STATUS,
	UART_MODEM_STATUS,
	UART_SCRATCH,
};

#define FIFO_ENABLE_CLEAR 0x07
#define FIFO_ENABLED	  0xc0 /* interrupt identification of a 16550A with its FIFO on */
#define FIFO_SIZE	  16u
#define LINE_8N1	  0x03
#define LINE_DLAB	  0x80
#define INT_RECEIVE	  0x01
#define MODEM_DTR_RTS	  0x03
#define MODEM_OUT2	  0x08 /* on a PC, lets the chip's interrupt out */
#define STATUS_RX_READY	  0x01
#define STATUS_TX_EMPTY	  0x20 /* the FIFO is */
#define STATUS_TX_IDLE	  0x40 /* and the shift register behind it */
#define DIVISOR_115200	  1
#define SPIN_MAX	  200000u /* polls; a character takes 87 us, a poll about 1 us */
#define STUCK_NS	  (200 * NSEC_PER_MSEC)

static bool present;
static unsigned int burst = 1; /* characters that fit when the transmitter is empty */

static bool scratch_keeps(uint8_t value)
{
	port_write8(UART_SCRATCH, value);
	return port_read8(UART_SCRATCH) == value;
}

bool serial_init(void)
{
	if (!scratch_keeps(0x5a) || !scratch_keeps(0xa5))
		return false;
	port_write8(UART_INT_ENABLE, 0);
	port_write8(UART_LINE_CONTROL, LINE_8N1 | LINE_DLAB);
	port_write8(UART_DATA, DIVISOR_115200);
	port_write8(UART_INT_ENABLE, 0);
	port_write8(UART_LINE_CONTROL, LINE_8N1);
	port_write8(UART_FIFO_CONTROL, FIFO_ENABLE_CLEAR);
	port_write8(UART_MODEM_CONTROL, MODEM_DTR_RTS);
	if ((port_read8(UART_FIFO_CONTROL) & FIFO_ENABLED) == FIFO_ENABLED)
		burst = FIFO_SIZE;
	present = true;
	return true;
}

static uint64_t last_ready; /* TSC when the port was last seen to be so */

static bool has_status(uint8_t bit)
{
	if (!(port_read8(UART_LINE_STATUS) & bit))
		return false;
	last_ready = time_ticks();
	return true;
}

/* A port that once did not get ready is asked once a character from then on, not waited for. */
static bool wait_status(uint8_t bit)
{
	static bool stuck;

	for (unsigned int spins = stuck ? 1 : SPIN_MAX; spins; spins--) {
		if (has_status(bit)) {
			stuck = false;
			return true;
		}
	}
	stuck = true;
	return false;
}

static bool is_stuck(void)
{
	/* Signed: it may have been another CPU, whose TSC is ahead. */
	return (int64_t)(time_ticks() - last_ready) > (int64_t)time_ns_to_ticks(STUCK_NS);
}

/* Sends one byte. @room: bytes that the transmitter still takes without being asked. */
static void send(char c, unsigned int *room)
{
	if (*room == 0)
		return; /* stuck: it is lost */
	port_write8(UART_DATA, (uint8_t)c);
	--*room;
}

size_t serial_write(const char *text, size_t len, bool wait)
{
	static bool returned; /* the carriage return of the next newline is sent */
	unsigned int room = 0;
	size_t i = 0;

	while (i < len) {
		bool newline = text[i] == '\n' && !returned;

		if (room == 0) {
			if (wait ? wait_status(STATUS_TX_EMPTY) : has_status(STATUS_TX_EMPTY))
				room = burst;
			else if (!wait && !is_stuck())
				break;
		}
		send(newline ? '\r' : text[i], &room);
		returned = newline;
		i += !newline;
	}
	return i;
}

int serial_read(void)
{
	if (!present || !(port_read8(UART_LINE_STATUS) & STATUS_RX_READY))
		return -1;
	return port_read8(UART_DATA);
}

static bool interrupted; /* atomic */

void serial_enable_interrupt(void)
{
	port_write8(UART_MODEM_CONTROL, MODEM_DTR_RTS | MODEM_OUT2);
	port_write8(UART_INT_ENABLE, INT_RECEIVE);
}

void serial_note_interrupt(void)
{
	__atomic_store_n(&interrupted, true, __ATOMIC_RELAXED);
}

bool serial_take_interrupt(void)
{
	if (!__atomic_load_n(&interrupted, __ATOMIC_RELAXED))
		return false;
	/* Before anything is read: what arrives from here on interrupts again. */
	__atomic_store_n(&interrupted, false, __ATOMIC_RELAXED);
	return true;
}

void serial_drain(void)
{
	wait_status(STATUS_TX_IDLE);
}

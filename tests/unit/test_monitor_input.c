/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When the monitor looks at the serial port, and that it loses nothing of what is pasted there. The
 * port's FIFO, guests and commands are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/cpu/serial.h"
#include "arch/x86_64/cpu/smp.h"
#include "core/console.h"
#include "core/dev/uart.h"
#include "core/monitor.h"
#include "core/time.h"
#include "core/vm/vm.h"

#define MSEC	  (1000 * 1000ull) /* in ticks: one a nanosecond */
#define FIFO_SIZE 16
#define TYPED_MAX 1024 /* what the monitor keeps until its turn comes */

struct vm vms[CONFIG_MAX_GUESTS];
uint32_t vm_count;
uint32_t tsc_khz = 1000000;

static uint64_t now = 1000 * MSEC;
static char fifo[FIFO_SIZE];
static unsigned int in_fifo;
static bool interrupt;
static char executed[4096]; /* command lines */

/* As the chip does: an interrupt for the first byte, and what finds no room is lost. */
static void arrive(const char *bytes, size_t count)
{
	while (count-- > 0 && in_fifo < FIFO_SIZE) {
		interrupt |= in_fifo == 0;
		fifo[in_fifo++] = *bytes++;
	}
}

int serial_read(void)
{
	int byte = in_fifo ? fifo[0] : -1;

	if (in_fifo)
		memmove(fifo, fifo + 1, --in_fifo);
	return byte;
}

bool serial_take_interrupt(void)
{
	bool taken = interrupt;

	interrupt = false;
	return taken;
}

int monitor_execute(const char *line)
{
	strcat(executed, line);
	strcat(executed, "\n");
	if (strcmp(line, "log") == 0)
		monitor_show_log();
	return 0;
}

int vm_evict(struct vm *vm, unsigned int count)
{
	(void)vm, (void)count;
	return 0;
}

void uart_receive(struct vm *vm, uint8_t byte)
{
	(void)vm, (void)byte;
	fail();
}

void uart_go_on(struct vm *vm)
{
	(void)vm;
}

void smp_kick(uint32_t cpu)
{
	(void)cpu;
}

uint64_t time_ticks(void)
{
	return now;
}

static size_t room; /* in the console's device */

static size_t output(const char *text, size_t len, bool wait)
{
	size_t taken = wait || len < room ? len : room;

	(void)text;
	room -= wait ? 0 : taken;
	return taken;
}

static int setup(void **state)
{
	(void)state;
	executed[0] = '\0';
	room = SIZE_MAX;
	console_set_output(output);
	monitor_start();
	now += 1000 * MSEC;
	monitor_poll(now);
	return 0;
}

/* Until the monitor has nothing to do but to look now and then. */
static void settle(void)
{
	uint64_t next;

	for (int i = 0; i < 100000; i++) {
		next = monitor_poll(now);
		if (next == now + 20 * MSEC)
			return;
		now = next;
	}
	fail();
}

/* Where the port has no interrupt. */
static void test_polls_are_far_apart(void **state)
{
	uint64_t next = monitor_poll(now);

	(void)state;
	assert_int_equal(next - now, 20 * MSEC);
	arrive("x\r", 2);
	interrupt = false;
	assert_int_equal(monitor_poll(now + MSEC), next); /* not yet */
	assert_int_equal(in_fifo, 2);
	now = next;
	assert_int_equal(monitor_poll(now) - now, MSEC);
	assert_string_equal(executed, "x\n");
}

static void test_an_interrupt_is_obeyed_at_once(void **state)
{
	(void)state;
	arrive("x\r", 2);
	assert_int_equal(monitor_poll(now) - now, MSEC);
	assert_string_equal(executed, "x\n");
}

/* At the speed of the port, 16 bytes in 1.4 ms, after a silence; the monitor polls when it wants
 * to. */
static void test_pasted_lines_are_whole(void **state)
{
	static const char text[] =
		"0123456789 0123456789 0123456789\rmemory\rguests\ra\rb\rc\rd\re\r"
		"balloon web 256M\rballoon web 192M\rtmem\r";
	const uint64_t byte_ns = 86800;
	uint64_t due = now + 20 * MSEC;
	char lines[sizeof(text)];

	(void)state;
	memcpy(lines, text, sizeof(text));
	for (char *c = lines; *c; c++)
		*c = *c == '\r' ? '\n' : *c;
	for (const char *c = text; *c; c++) {
		arrive(c, 1);
		now += byte_ns;
		if (interrupt || now >= due)
			due = monitor_poll(now);
	}
	settle();
	assert_string_equal(executed, lines);
}

/* While the log is shown, or commands are carried out, what comes is kept; not without end. */
static void test_what_is_typed_ahead_waits(void **state)
{
	(void)state;
	room = 3; /* of the log, then the port is full */
	arrive("log\r", 4);
	now = monitor_poll(now);
	for (int i = 0; i < 2 * TYPED_MAX / FIFO_SIZE; i++) {
		arrive("stop 67890123 \r\r", FIFO_SIZE);
		now = monitor_poll(now);
		assert_int_equal(in_fifo, 0);
	}
	assert_string_equal(executed, "log\n");
	room = SIZE_MAX;
	settle();
	/* Each of those 16 bytes is a command and an empty line. */
	assert_int_equal(strlen(executed), strlen("log\n") + TYPED_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_polls_are_far_apart, setup),
		cmocka_unit_test_setup(test_an_interrupt_is_obeyed_at_once, setup),
		cmocka_unit_test_setup(test_pasted_lines_are_whole, setup),
		cmocka_unit_test_setup(test_what_is_typed_ahead_waits, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

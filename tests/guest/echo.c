/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits for lines on its serial port and says them again. Some lines mean more:
 *
 *   off    power off
 *   reset  reset the machine
 *   crash  a triple fault
 *   put    put a page under a new key, and say what came of it
 *
 * It keeps a page in the store, and says whether its kernel was changed by an earlier life.
 */
#include "core/dev/power.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define UART_DATA      0x3f8
#define UART_LSR       0x3fd
#define UART_LSR_READY 0x01
#define LINE_MAX       80

const char test_name[] = "echo";

static uint64_t lives = 1; /* in the kernel's file: changed, if anybody wrote to that */
static uint8_t page[TIDEPOOL_PAGE_SIZE] __attribute__((aligned(4096)));

static struct page_key key = {{1, 2, 3}, 4};

static void store_a_page(void)
{
	page[0] = 1; /* a page of zeroes would take no memory */
	CHECK_EQ(pool_new(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION), 0, "new pool");
	CHECK_EQ(page_put(0, &key, page), 0, "put");
}

static void put_another(void)
{
	key.index++;
	print("echo: put: %ld\n", page_put(0, &key, page));
}

static char read_char(void)
{
	while (!(in8(UART_LSR) & UART_LSR_READY))
		__asm__ volatile("pause");
	return (char)in8(UART_DATA);
}

/* Reads up to the end of a line, which is not kept. Returns the length. */
static size_t read_line(char *line)
{
	size_t len = 0;

	for (;;) {
		char c = read_char();

		if (c == '\r' || c == '\n')
			break;
		if (len < LINE_MAX)
			line[len++] = c;
	}
	line[len] = '\0';
	return len;
}

static bool is(const char *line, size_t len, const char *word, size_t word_len)
{
	return len == word_len && memcmp(line, word, len) == 0;
}

static void triple_fault(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) empty = {0};

	__asm__ volatile("lidt %0; ud2" : : "m"(empty));
}

void test_main(void)
{
	char line[LINE_MAX + 1];

	tidepool_require();
	store_a_page();
	irq_enable(); /* none will come; but Bochs keeps the host's waiting while they are off */
	print("echo: ready, life %lu of this kernel\n", lives);
	lives++;
	for (;;) {
		size_t len = read_line(line);

		print("echo: \"%s\"\n", line);
		if (is(line, len, "off", 3))
			return;
		if (is(line, len, "reset", 5))
			out8(POWER_PORT_RESET, POWER_RESET_VALUE);
		if (is(line, len, "crash", 5))
			triple_fault();
		if (is(line, len, "put", 3))
			put_another();
	}
}

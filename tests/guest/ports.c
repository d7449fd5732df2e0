/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile: reads and writes every port, 8 bits wide; 16 and 32 bits wide every one below 1000h,
 * where the devices are, and each "wide="th one above. What would end this guest (power control) is
 * left out; its own console gets garbage.
 */
#include "core/dev/power.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

#define UART_BASE   0x3f8
#define UART_LCR    0x3fb
#define UART_MCR    0x3fc
#define UART_8N1    0x03
#define FREE_PORT   0x2000
#define DEVICES_END 0x1000

const char test_name[] = "ports";

static uint16_t in16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

/* Would one of the bytes from @port on reach what ends the guest? */
static bool is_power(uint32_t port)
{
	static const uint16_t ends[] = {POWER_PORT_KEYBOARD, POWER_PORT_CHIPSET,
					POWER_PORT_SLEEP_CONTROL, POWER_PORT_RESET};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends[i] >= port && ends[i] < port + 4)
			return true;
	return false;
}

void test_main(void)
{
	uint64_t wide = cmdline_number("wide=", 1);

	for (uint32_t port = 0; port <= UINT16_MAX; port++) {
		bool narrow = port >= DEVICES_END && port % wide;

		in8((uint16_t)port);
		if (!is_power(port))
			out8((uint16_t)port, (uint8_t)test_random());
		if (narrow)
			continue;
		in16((uint16_t)port);
		in32((uint16_t)port);
		if (is_power(port))
			continue;
		out16((uint16_t)port, (uint16_t)test_random());
		out32((uint16_t)port, (uint32_t)test_random());
	}
	out8(UART_LCR, UART_8N1); /* the console may be anything now */
	out8(UART_MCR, 0);
	print("\n");
	CHECK_EQ(in16(FREE_PORT), UINT16_MAX, "16 bits where no device is");
	CHECK_EQ(in32(FREE_PORT), UINT32_MAX, "32 bits where no device is");
	CHECK_EQ(in8(UART_LCR), UART_8N1, "the UART's line control");
}

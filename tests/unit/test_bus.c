/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices as a guest reaches them, through ports and memory
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/dev/bus.h"
#include "tests/unit/dev_host.h"

static struct vcpu *const cpu = &host_vcpus[0];

static int setup(void **state)
{
	(void)state;
	host_reset();
	return 0;
}

static int check_unlocked(void **state)
{
	(void)state;
	return host_vm.lock.next != host_vm.lock.serving;
}

static void test_unknown_ports(void **state)
{
	static const uint16_t ports[] = {0x00,	0x20,  0x21,  0x40,  0x70,  0x80,
					 0x3f7, 0x400, 0x5ff, 0x603, 0xcf8, 0xffff};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		assert_int_equal(bus_io_read(cpu, ports[i], 1), 0xff);
		bus_io_write(cpu, ports[i], 1, 0xfe);
	}
	assert_int_equal(bus_io_read(cpu, 0x61, 1), 0x3f); /* no error to report with an NMI */
	assert_int_equal(bus_io_read(cpu, 0x80, 2), 0xffff);
	assert_int_equal(bus_io_read(cpu, 0xcfc, 4), 0xffffffff);
	assert_int_equal(bus_io_read(cpu, 0xffff, 4), 0xffffffff); /* does not wrap to port 0 */
	assert_int_equal(host.stops, 0);
}

static void test_uart(void **state)
{
	(void)state;
	bus_io_write(cpu, 0x3f8 + 7, 1, 0x5a);
	assert_int_equal(bus_io_read(cpu, 0x3f8 + 7, 1), 0x5a);
	assert_int_equal(bus_io_read(cpu, 0x3f8 + 7, 2), 0xff5a);
	assert_int_equal(bus_io_read(cpu, 0x3f8 + 4, 4), 0x5ab06000);
	bus_io_write(cpu, 0x3f8 + 3, 4, 0xffff1003); /* LCR, MCR, and two that are read-only */
	assert_int_equal(host_vm.uart.lcr, 3);
	assert_int_equal(host_vm.uart.mcr, 0x10);
	bus_io_write(cpu, 0x3f8 + 3, 2, 0x0003);
	bus_io_write(cpu, 0x3f8 + 7, 1, 0x5a);
	bus_io_write(cpu, 0x3f8 + 3, 4, 0x03);
	assert_int_equal(host_vm.uart.scr, 0x5a); /* four bytes are four, not five */
	bus_io_write(cpu, 0x3f8 + 6, 1, 0);
	assert_int_equal(host_vm.uart.scr, 0x5a);
	bus_io_write(cpu, 0x3f8, 1, 'x');
	bus_io_write(cpu, 0x3f8, 1, 0x0a);
	assert_string_equal(host.console, "web| x\n");
}

static void test_testdev(void **state)
{
	(void)state;
	/* Without the module word there is nothing. */
	bus_io_write(cpu, 0xf4, 4, 7);
	bus_io_write(cpu, 0xe9, 1, 'x');
	bus_io_write(cpu, 0xe9, 1, '\n');
	assert_int_equal(bus_io_read(cpu, 0xe9, 1), 0xff);
	assert_int_equal(bus_io_read(cpu, 0xf4, 4), 0xffffffff);
	assert_int_equal(host.stops, 0);
	assert_int_equal(host.console_writes, 0);

	host_config.testdev = true;
	assert_int_equal(bus_io_read(cpu, 0xe9, 1), 0xe9);
	assert_int_equal(bus_io_read(cpu, 0xe9, 2), 0xffe9);
	assert_int_equal(bus_io_read(cpu, 0xf4, 1), 0xff);
	bus_io_write(cpu, 0xe9, 1, 'o');
	bus_io_write(cpu, 0x3f8, 1, 'k'); /* both devices write the same line */
	bus_io_write(cpu, 0xe9, 1, 0x1b); /* and neither reaches the operator's terminal */
	bus_io_write(cpu, 0xe9, 1, '[');
	bus_io_write(cpu, 0xe9, 1, 'A');
	bus_io_write(cpu, 0xe9, 1, '\n');
	assert_string_equal(host.console, "web| ok\n");
	assert_int_equal(host.stops, 0);

	bus_io_write(cpu, 0xf3, 4, 0xffffffff); /* only reaches over the exit port */
	bus_io_write(cpu, 0xf5, 1, 1);
	assert_int_equal(host.stops, 0);
	bus_io_write(cpu, 0xf4, 4, 4000000000u);
	assert_int_equal(host.stops, 1);
	assert_string_equal(host.stop_reason, "testdev exit value 4000000000");
}

static void test_testdev_widths(void **state)
{
	static const struct {
		unsigned int size;
		const char *reason;
	} widths[] = {
		{1, "testdev exit value 131"},
		{2, "testdev exit value 33667"},
		{4, "testdev exit value 2156036995"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		host_reset();
		host_config.testdev = true;
		bus_io_write(cpu, 0xf4, widths[i].size, 0x80828383);
		assert_string_equal(host.stop_reason, widths[i].reason);
	}
}

static void test_uart_interrupt_arrives(void **state)
{
	(void)state;
	bus_mmio_write(cpu, VM_LAPIC_BASE + 0xf0, 4, 0x1ff);
	bus_mmio_write(cpu, VM_IOAPIC_BASE, 4, 0x10 + 2 * UART_IRQ);
	bus_mmio_write(cpu, VM_IOAPIC_BASE + 0x10, 4, 0x34);
	bus_io_write(cpu, 0x3f8 + 4, 1, 0x08); /* OUT2 */
	bus_io_write(cpu, 0x3f8 + 1, 1, 0x02); /* transmitter empty */
	assert_int_equal(lapic_pending(cpu), 0x34);
	lapic_accept(cpu, 0x34);
	assert_int_equal(bus_io_read(cpu, 0x3f8 + 2, 1), 0x02);
	bus_mmio_write(cpu, VM_LAPIC_BASE + 0xb0, 4, 0);
	assert_int_equal(lapic_pending(cpu), -1);
}

static void test_power_off(void **state)
{
	(void)state;
	bus_io_write(cpu, 0x600, 1, 5 << 2 | 1 << 5);
	assert_string_equal(host.stop_reason, "power-off");
}

static void check_reset(uint16_t port, unsigned int size, uint32_t value, unsigned int stops)
{
	host_reset();
	bus_io_write(cpu, port, size, value);
	assert_int_equal(host.stops, stops);
}

static void test_reset(void **state)
{
	(void)state;
	check_reset(0x602, 1, 1, 1);
	check_reset(0x64, 1, 0xfe, 1);
	check_reset(0xcf9, 1, 0x06, 1);
	/* PCI's configuration address: function 4 is bit 2 of the byte at 0xcf9. */
	check_reset(0xcf8, 4, 0x80000400, 0);
	check_reset(0xcf9, 2, 0x0606, 0);
	assert_int_equal(bus_io_read(cpu, 0xcf8, 4), 0xffffffff);
}

static void test_mmio(void **state)
{
	(void)state;
	assert_int_equal(bus_mmio_read(cpu, VM_LAPIC_BASE + 0x30, 4), 0x50014);
	bus_mmio_write(cpu, VM_IOAPIC_BASE, 4, 1);
	assert_int_equal(bus_mmio_read(cpu, VM_IOAPIC_BASE + 0x10, 4), 0x00170020);
}

static void test_mmio_size_and_alignment(void **state)
{
	static const unsigned int sizes[] = {1, 2, 8};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned int size = sizes[i];
		uint64_t ones = size == 8 ? UINT64_MAX : (1ull << size * 8) - 1;

		assert_true(bus_mmio_read(cpu, VM_LAPIC_BASE + 0x30, size) == ones);
		bus_mmio_write(cpu, VM_LAPIC_BASE + 0x80, size, 0x10);
	}
	assert_int_equal(bus_mmio_read(cpu, VM_LAPIC_BASE + 0x32, 4), 0xffffffff);
	bus_mmio_write(cpu, VM_LAPIC_BASE + 0x82, 4, 0x10);
	assert_int_equal(cpu->lapic.tpr, 0);
}

static void test_mmio_outside(void **state)
{
	static const gpa_t gpas[] = {
		VM_LAPIC_BASE - 4,  VM_LAPIC_BASE + 0x1000,
		VM_IOAPIC_BASE - 4, VM_IOAPIC_BASE + 0x1000,
		VM_HOLE_BASE,	    VM_HOLE_END,
		UINT64_MAX - 3,	    VM_LAPIC_BASE | 1ull << 40,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(gpas); i++) {
		assert_int_equal(bus_mmio_read(cpu, gpas[i], 4), 0xffffffff);
		bus_mmio_write(cpu, gpas[i], 4, 0);
	}
}

static void test_no_lapic_page_in_x2apic_mode(void **state)
{
	(void)state;
	assert_int_equal(lapic_msr_write(cpu, 0x1b, VM_LAPIC_BASE | 0xd00), 0);
	assert_int_equal(bus_mmio_read(cpu, VM_LAPIC_BASE + 0x30, 4), 0xffffffff);
	bus_mmio_write(cpu, VM_LAPIC_BASE + 0x80, 4, 0x10);
	assert_int_equal(cpu->lapic.tpr, 0);
}

static void test_random_accesses(void **state)
{
	(void)state;
	srand(5);
	for (unsigned int i = 0; i < 300000; i++) {
		gpa_t gpa = (rand() % 2 ? VM_LAPIC_BASE : VM_IOAPIC_BASE) + (gpa_t)rand() % 0x1004;
		uint16_t port = (uint16_t)(rand() % 3 ? 0x3f6 + rand() % 12 : rand());
		unsigned int size = 1u << rand() % 4;
		uint32_t value = (uint32_t)rand();

		host.console_len = 0;
		switch (rand() % 4) {
		case 0:
			bus_io_read(cpu, port, size > 4 ? 4 : size);
			break;
		case 1:
			bus_io_write(cpu, port, size > 4 ? 4 : size, value);
			break;
		case 2:
			bus_mmio_read(cpu, gpa, size);
			break;
		default:
			bus_mmio_write(cpu, gpa, size, value);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unknown_ports, setup, check_unlocked),
		cmocka_unit_test_setup_teardown(test_uart, setup, check_unlocked),
		cmocka_unit_test_setup_teardown(test_testdev, setup, check_unlocked),
		cmocka_unit_test_setup_teardown(test_testdev_widths, setup, check_unlocked),
		cmocka_unit_test_setup_teardown(test_uart_interrupt_arrives, setup, check_unlocked),
		cmocka_unit_test_setup_teardown(test_power_off, setup, check_unlocked),
		cmocka_unit_test_setup_teardown(test_reset, setup, check_unlocked),
		cmocka_unit_test_setup_teardown(test_mmio, setup, check_unlocked),
		cmocka_unit_test_setup_teardown(test_mmio_size_and_alignment, setup,
						check_unlocked),
		cmocka_unit_test_setup_teardown(test_mmio_outside, setup, check_unlocked),
		cmocka_unit_test_setup_teardown(test_no_lapic_page_in_x2apic_mode, setup,
						check_unlocked),
		cmocka_unit_test_setup_teardown(test_random_accesses, setup, check_unlocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O APIC by itself. The local APICs are a recorder here: the last message, how many, and
 * whether they accept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/dev/ioapic.h"
#include "core/dev/lapic.h"
#include "tests/unit/dev_host.h"

#define MASKED	   0x10000ull
#define LEVEL	   0x08000ull
#define REMOTE_IRR 0x04000ull
#define POLARITY   0x02000ull
#define LOGICAL	   0x00800ull

static struct lapic_message last;
static unsigned int messages;
static bool accept_messages;

bool lapic_deliver(struct vm *vm, const struct lapic_message *message)
{
	assert_ptr_equal(vm, &host_vm);
	last = *message;
	messages++;
	return accept_messages;
}

void lapic_reset(struct lapic *lapic, uint32_t id)
{
	(void)lapic;
	(void)id;
}

void uart_reset(struct uart *uart)
{
	(void)uart;
}

static uint32_t in(uint32_t reg)
{
	ioapic_mmio_write(&host_vm, 0, reg);
	return ioapic_mmio_read(&host_vm, 0x10);
}

static void out(uint32_t reg, uint32_t value)
{
	ioapic_mmio_write(&host_vm, 0, reg);
	ioapic_mmio_write(&host_vm, 0x10, value);
}

static uint64_t entry(unsigned int pin)
{
	return (uint64_t)in(0x11 + 2 * pin) << 32 | in(0x10 + 2 * pin);
}

static void set_entry(unsigned int pin, uint64_t value)
{
	out(0x11 + 2 * pin, (uint32_t)(value >> 32));
	out(0x10 + 2 * pin, (uint32_t)value);
}

static void line(unsigned int pin, bool high)
{
	ioapic_set_line(&host_vm, pin, high);
}

static int setup(void **state)
{
	(void)state;
	host_reset();
	messages = 0;
	accept_messages = true;
	return 0;
}

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(in(1), 0x00170020);
	out(1, 0);
	assert_int_equal(in(1), 0x00170020);
	assert_int_equal(in(0), 0);
	out(0, 0xffffffff);
	assert_int_equal(in(0), 0x0f000000);
	assert_int_equal(in(2), 0x0f000000);
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++)
		assert_int_equal(entry(pin), MASKED);
	out(0x40, 0xffffffff); /* behind the last pin */
	assert_int_equal(in(0x40), 0);
	ioapic_mmio_write(&host_vm, 0, 0xffffff01);
	assert_int_equal(ioapic_mmio_read(&host_vm, 0), 1);
	assert_int_equal(ioapic_mmio_read(&host_vm, 0x20), 0);
	ioapic_mmio_write(&host_vm, 0x20, 1);
	assert_int_equal(messages, 0);
}

static void test_read_only_bits(void **state)
{
	(void)state;
	for (unsigned int pin = 0; pin < IOAPIC_PINS; pin++) {
		set_entry(pin, UINT64_MAX);
		assert_int_equal(entry(pin), 0xff0000000001afff);
	}
	assert_int_equal(messages, 0);
}

static void test_edge(void **state)
{
	(void)state;
	set_entry(4, 0x0300000000000000 | LOGICAL | POLARITY | 0x100 | 0x33);
	assert_int_equal(messages, 0);
	line(4, true);
	assert_int_equal(messages, 1);
	assert_int_equal(last.dest, 3);
	assert_true(last.logical);
	assert_true(last.narrow);
	assert_false(last.level);
	assert_int_equal(last.mode, LAPIC_MODE_LOWEST_PRIORITY);
	assert_int_equal(last.vector, 0x33);
	line(4, true);
	line(4, false);
	assert_int_equal(messages, 1);
	line(4, true);
	assert_int_equal(messages, 2);
	assert_int_equal(entry(4) & REMOTE_IRR, 0);
	ioapic_eoi(&host_vm, 0x33); /* is none of an edge's business */
	assert_int_equal(messages, 2);
}

static void test_masked_edge_is_lost(void **state)
{
	(void)state;
	set_entry(4, MASKED | 0x33);
	line(4, true);
	set_entry(4, 0x33);
	assert_int_equal(messages, 0);
	line(4, false);
	line(4, true);
	assert_int_equal(messages, 1);
}

static void test_level(void **state)
{
	(void)state;
	set_entry(9, LEVEL | 0x44);
	line(9, true);
	assert_int_equal(messages, 1);
	assert_true(last.level);
	assert_true(entry(9) & REMOTE_IRR);
	line(9, false);
	line(9, true); /* nothing new before the end of the first */
	assert_int_equal(messages, 1);
	ioapic_eoi(&host_vm, 0x45);
	assert_int_equal(messages, 1);
	ioapic_eoi(&host_vm, 0x44);
	assert_int_equal(messages, 2); /* still high */
	line(9, false);
	ioapic_eoi(&host_vm, 0x44);
	assert_int_equal(messages, 2);
	assert_int_equal(entry(9) & REMOTE_IRR, 0);
}

static void test_masked_level_waits(void **state)
{
	(void)state;
	set_entry(9, MASKED | LEVEL | 0x44);
	line(9, true);
	assert_int_equal(messages, 0);
	set_entry(9, LEVEL | 0x44);
	assert_int_equal(messages, 1);
	/* Masked while it is served: the end is noted, the next one waits for the mask. */
	set_entry(9, MASKED | LEVEL | 0x44);
	ioapic_eoi(&host_vm, 0x44);
	assert_int_equal(messages, 1);
	set_entry(9, LEVEL | 0x44);
	assert_int_equal(messages, 2);
}

static void test_eoi_register(void **state)
{
	(void)state;
	set_entry(9, LEVEL | 0x44);
	line(9, true);
	line(9, false);
	ioapic_mmio_write(&host_vm, 0x40, 0x44);
	assert_int_equal(entry(9) & REMOTE_IRR, 0);
}

static void test_shared_vector(void **state)
{
	(void)state;
	set_entry(9, LEVEL | 0x44);
	set_entry(10, LEVEL | 0x44);
	line(9, true);
	line(10, true);
	line(9, true); /* each line has a level of its own */
	assert_int_equal(host_vm.ioapic.level, 3u << 9);
	assert_int_equal(messages, 2);
	line(9, false);
	ioapic_eoi(&host_vm, 0x44);
	assert_int_equal(messages, 3);
	assert_int_equal(entry(9) & REMOTE_IRR, 0);
	assert_true(entry(10) & REMOTE_IRR);
}

static void test_edge_mode_forgets_remote_irr(void **state)
{
	(void)state;
	set_entry(9, LEVEL | 0x44);
	line(9, true);
	set_entry(9, MASKED | 0x44);
	assert_int_equal(entry(9) & REMOTE_IRR, 0);
	set_entry(9, LEVEL | 0x44);
	assert_int_equal(messages, 2);
}

static void test_nobody_accepts(void **state)
{
	(void)state;
	accept_messages = false;
	set_entry(9, LEVEL | 0x44);
	line(9, true);
	assert_int_equal(messages, 1);
	assert_int_equal(entry(9) & REMOTE_IRR, 0); /* nobody would ever clear it */
}

static void test_special_modes_are_dropped(void **state)
{
	(void)state;
	for (uint32_t mode = 2; mode < 8; mode++) {
		set_entry(4, (uint64_t)mode << 8 | 0x33);
		line(4, true);
		line(4, false);
	}
	assert_int_equal(messages, 0);
}

static void test_last_pin(void **state)
{
	(void)state;
	set_entry(IOAPIC_PINS - 1, 0x77);
	line(IOAPIC_PINS - 1, true);
	assert_int_equal(last.vector, 0x77);
}

static void test_random_accesses(void **state)
{
	(void)state;
	srand(4);
	for (unsigned int i = 0; i < 200000; i++) {
		switch (rand() % 4) {
		case 0:
			ioapic_mmio_read(&host_vm, (uint32_t)rand() % 0x1000);
			break;
		case 1:
			ioapic_mmio_write(&host_vm, (uint32_t)rand() % 0x50, (uint32_t)rand());
			break;
		case 2:
			line((unsigned int)rand() % IOAPIC_PINS, rand() % 2);
			break;
		default:
			out((uint32_t)rand() % 0x50, (uint32_t)rand());
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_registers, setup),
		cmocka_unit_test_setup(test_read_only_bits, setup),
		cmocka_unit_test_setup(test_edge, setup),
		cmocka_unit_test_setup(test_masked_edge_is_lost, setup),
		cmocka_unit_test_setup(test_level, setup),
		cmocka_unit_test_setup(test_masked_level_waits, setup),
		cmocka_unit_test_setup(test_eoi_register, setup),
		cmocka_unit_test_setup(test_shared_vector, setup),
		cmocka_unit_test_setup(test_edge_mode_forgets_remote_irr, setup),
		cmocka_unit_test_setup(test_nobody_accepts, setup),
		cmocka_unit_test_setup(test_special_modes_are_dropped, setup),
		cmocka_unit_test_setup(test_last_pin, setup),
		cmocka_unit_test_setup(test_random_accesses, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

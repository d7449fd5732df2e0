/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between the local APICs of several vCPUs. The build's limit of vCPUs may be one, so the
 * sources are compiled here once more, with a limit of their own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/config.h"
#undef CONFIG_MAX_VCPUS
#define CONFIG_MAX_VCPUS 20 /* more than one x2APIC cluster holds */

#include "core/dev/lapic.c"
#include "core/dev/lapic_ipi.c"
#include "core/dev/lapic_regs.c"
#include "core/dev/lapic_timer.c"
#include "tests/unit/dev_host.c"

/* The devices around them have no part in this. */
void ioapic_reset(struct ioapic *ioapic)
{
	(void)ioapic;
}

void ioapic_eoi(struct vm *vm, uint8_t vector)
{
	(void)vm;
	(void)vector;
}

void uart_reset(struct uart *uart)
{
	(void)uart;
}

#define ALL ((1u << CONFIG_MAX_VCPUS) - 1)

#define SELF	(1u << 18)
#define EVERY	(2u << 18)
#define OTHERS	(3u << 18)
#define LOGICAL (1u << 11)
#define LOWEST	(1u << 8)
#define NMI	(4u << 8)
#define INIT	(5u << 8)
#define STARTUP (6u << 8)
#define ASSERT	(1u << 14)
#define LEVEL	(1u << 15)

static void enable(uint32_t from, uint32_t to, bool x2apic)
{
	for (uint32_t i = from; i < to; i++) {
		uint64_t base = host_vcpus[i].lapic.base_msr | LAPIC_BASE_X2APIC;

		lapic_mmio_write(&host_vcpus[i], 0xf0, 0x1ff);
		if (x2apic)
			assert_int_equal(lapic_msr_write(&host_vcpus[i], 0x1b, base), 0);
	}
}

static int setup_xapic(void **state)
{
	(void)state;
	host_reset();
	enable(0, CONFIG_MAX_VCPUS, false);
	return 0;
}

static int setup_x2apic(void **state)
{
	(void)state;
	host_reset();
	enable(0, CONFIG_MAX_VCPUS, true);
	return 0;
}

/* The set of vCPUs that have this vector pending; takes it from them. */
static uint32_t taken(uint8_t vector)
{
	uint32_t who = 0;

	for (uint32_t i = 0; i < CONFIG_MAX_VCPUS; i++) {
		struct vcpu *vcpu = &host_vcpus[i];

		if (lapic_pending(vcpu) == vector) {
			who |= 1u << i;
			assert_true(host.kicked & 1u << i);
			lapic_accept(vcpu, vector);
			lapic_end_of_interrupt(vcpu);
		}
	}
	host.kicked = 0;
	return who;
}

static uint32_t send_xapic(uint32_t from, uint8_t dest, uint32_t low)
{
	lapic_mmio_write(&host_vcpus[from], 0x310, (uint32_t)dest << 24);
	lapic_mmio_write(&host_vcpus[from], 0x300, low | 0x40);
	return taken(0x40);
}

static uint32_t send_x2apic(uint32_t from, uint32_t dest, uint32_t low)
{
	assert_int_equal(
		lapic_msr_write(&host_vcpus[from], 0x830, (uint64_t)dest << 32 | low | 0x40), 0);
	return taken(0x40);
}

static void test_xapic_physical(void **state)
{
	uint32_t value;

	(void)state;
	assert_int_equal(send_xapic(0, 3, 0), 1u << 3);
	assert_int_equal(send_xapic(3, 0, 0), 1u << 0);
	assert_int_equal(send_xapic(2, 2, 0), 1u << 2);
	assert_int_equal(send_xapic(0, 0xff, 0), ALL);
	assert_int_equal(send_xapic(0, CONFIG_MAX_VCPUS, 0), 0);
	lapic_mmio_read(&host_vcpus[0], 0x310, &value);
	assert_int_equal(value, (uint32_t)CONFIG_MAX_VCPUS << 24);
	lapic_mmio_read(&host_vcpus[0], 0x300, &value);
	assert_int_equal(value, 0x40);
}

static void test_shorthands(void **state)
{
	(void)state;
	assert_int_equal(send_xapic(2, 9, SELF), 1u << 2);
	assert_int_equal(send_xapic(2, 9, EVERY), ALL);
	assert_int_equal(send_xapic(2, 9, OTHERS), ALL & ~(1u << 2));
	/* The sender is never its own target but with a fixed interrupt. */
	assert_int_equal(send_xapic(2, 9, SELF | LOWEST), 0);
	send_xapic(2, 9, EVERY | INIT | ASSERT);
	for (uint32_t i = 0; i < CONFIG_MAX_VCPUS; i++)
		assert_false(lapic_signalled(&host_vcpus[i]));
}

static void test_xapic_flat(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		lapic_mmio_write(&host_vcpus[i], 0xd0, 1u << (24 + i));
	assert_int_equal(send_xapic(0, 0x05, LOGICAL), 0x05);
	assert_int_equal(send_xapic(0, 0x80, LOGICAL), 0x80);
	assert_int_equal(send_xapic(0, 0x00, LOGICAL), 0);
	assert_int_equal(send_xapic(0, 0xff, LOGICAL), ALL);
}

static void test_xapic_cluster(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < CONFIG_MAX_VCPUS; i++) {
		lapic_mmio_write(&host_vcpus[i], 0xe0, 0);
		lapic_mmio_write(&host_vcpus[i], 0xd0, (i / 4 << 4 | 1u << i % 4) << 24);
	}
	assert_int_equal(send_xapic(0, 0x01, LOGICAL), 0x1);
	assert_int_equal(send_xapic(0, 0x2f, LOGICAL), 0xf00);
	assert_int_equal(send_xapic(0, 0x35, LOGICAL), 0x5000);
	assert_int_equal(send_xapic(0, 0x30, LOGICAL), 0);
	assert_int_equal(send_xapic(0, 0x71, LOGICAL), 0);
}

static void test_x2apic_physical(void **state)
{
	(void)state;
	assert_int_equal(send_x2apic(0, 17, 0), 1u << 17);
	assert_int_equal(send_x2apic(0, UINT32_MAX, 0), ALL);
	assert_int_equal(send_x2apic(0, 0xff, 0), 0); /* an id like any other */
	assert_int_equal(send_x2apic(0, 0x11000000, 0), 0);
}

static void test_x2apic_cluster(void **state)
{
	uint64_t ldr, icr;

	(void)state;
	assert_int_equal(lapic_msr_read(&host_vcpus[18], 0x80d, &ldr), 0);
	assert_int_equal(ldr, 0x10004);
	assert_int_equal(send_x2apic(5, 0x00010002, LOGICAL), 1u << 17);
	assert_int_equal(lapic_msr_read(&host_vcpus[5], 0x830, &icr), 0);
	assert_true(icr == (0x00010002ull << 32 | LOGICAL | 0x40));
	assert_int_equal(send_x2apic(0, 0x8001, LOGICAL), 0x8001);
	assert_int_equal(send_x2apic(0, 0x1000f, LOGICAL), 0xf0000);
	assert_int_equal(send_x2apic(0, 0x1fff0, LOGICAL), 0);
	assert_int_equal(send_x2apic(0, 0x2000f, LOGICAL), 0);
	assert_int_equal(send_x2apic(0, UINT32_MAX, LOGICAL), ALL);
}

static void test_mixed_modes(void **state)
{
	(void)state;
	host_reset();
	enable(0, 10, false);
	enable(10, CONFIG_MAX_VCPUS, true);
	assert_int_equal(send_xapic(0, 12, 0), 1u << 12);
	assert_int_equal(send_x2apic(12, 3, 0), 1u << 3);
	assert_int_equal(send_xapic(0, 0xff, 0), ALL);
	assert_int_equal(send_x2apic(12, UINT32_MAX, 0), ALL);
	lapic_mmio_write(&host_vcpus[3], 0xd0, 0x08000000);
	assert_int_equal(send_x2apic(12, 0x8, LOGICAL), 1u << 3);
	assert_int_equal(send_x2apic(12, 0x108, LOGICAL), 0);
}

static void test_lowest_priority_takes_one(void **state)
{
	(void)state;
	assert_int_equal(send_x2apic(0, 0xf0, LOGICAL | LOWEST), 1u << 4);
	lapic_msr_write(&host_vcpus[4], 0x80f, 0xff); /* does not accept any more */
	assert_int_equal(send_x2apic(0, 0xf0, LOGICAL | LOWEST), 1u << 5);
}

static void test_illegal_vector_is_not_sent(void **state)
{
	uint64_t esr;

	(void)state;
	assert_int_equal(lapic_msr_write(&host_vcpus[0], 0x830, 1ull << 32 | 0x0f | LOWEST), 0);
	lapic_msr_write(&host_vcpus[0], 0x828, 0);
	lapic_msr_read(&host_vcpus[0], 0x828, &esr);
	assert_int_equal(esr, 0x20);
	assert_int_equal(lapic_msr_write(&host_vcpus[0], 0x830, 1ull << 32 | 0x0f), 0);
	lapic_msr_write(&host_vcpus[0], 0x828, 0);
	lapic_msr_read(&host_vcpus[0], 0x828, &esr);
	assert_int_equal(esr, 0x20);
	lapic_msr_write(&host_vcpus[1], 0x828, 0);
	lapic_msr_read(&host_vcpus[1], 0x828, &esr);
	assert_int_equal(esr, 0);
}

static void test_startup(void **state)
{
	struct lapic *target = &host_vcpus[1].lapic;

	(void)state;
	/* As Linux does it: INIT, its end, two start-ups; all of it before the target looks. */
	send_xapic(0, 1, INIT | LEVEL | ASSERT);
	assert_int_equal(target->signals, LAPIC_SIGNAL_INIT);
	assert_true(host.kicks == 1);
	send_xapic(0, 1, INIT | LEVEL);
	send_xapic(0, 1, STARTUP | 0x99 >> 4);
	assert_int_equal(target->signals, LAPIC_SIGNAL_INIT | LAPIC_SIGNAL_STARTUP | 0x49);
	lapic_mmio_write(&host_vcpus[0], 0x300, STARTUP | 0x12);
	assert_int_equal(target->signals, LAPIC_SIGNAL_INIT | LAPIC_SIGNAL_STARTUP |
						  0x49); /* the first one counts */
	assert_int_equal(host.kicks, 3);
	send_xapic(0, 1, INIT | LEVEL); /* the end of an INIT is no INIT */
	assert_int_equal(target->signals, LAPIC_SIGNAL_INIT | LAPIC_SIGNAL_STARTUP | 0x49);
	send_xapic(0, 1, INIT | ASSERT);
	assert_int_equal(target->signals, LAPIC_SIGNAL_INIT);
	for (uint32_t i = 2; i < CONFIG_MAX_VCPUS; i++)
		assert_false(lapic_signalled(&host_vcpus[i]));
	send_xapic(0, 0, OTHERS | INIT | ASSERT);
	assert_false(lapic_signalled(&host_vcpus[0]));
	assert_true(lapic_signalled(&host_vcpus[CONFIG_MAX_VCPUS - 1]));

	/* Taken once; a start-up alone is handed on for the vCPU to judge. */
	assert_int_equal(lapic_take_signals(&host_vcpus[1]), LAPIC_SIGNAL_INIT);
	assert_false(lapic_signalled(&host_vcpus[1]));
	send_xapic(0, 1, STARTUP | 0x12);
	assert_int_equal(lapic_take_signals(&host_vcpus[1]), LAPIC_SIGNAL_STARTUP | 0x52);
	assert_int_equal(lapic_take_signals(&host_vcpus[1]), 0);
}

static void test_nmi(void **state)
{
	struct lapic *target = &host_vcpus[1].lapic;

	(void)state;
	assert_int_equal(send_xapic(0, 1, NMI), 0); /* its vector means nothing */
	assert_int_equal(target->signals, LAPIC_SIGNAL_NMI);
	assert_int_equal(host.kicks, 1);
	send_xapic(0, 1, NMI); /* one waits at most */
	assert_int_equal(lapic_take_signals(&host_vcpus[1]), LAPIC_SIGNAL_NMI);
	assert_int_equal(target->signals, 0);

	send_xapic(0, 0, OTHERS | NMI);
	assert_false(lapic_signalled(&host_vcpus[0]));
	for (uint32_t i = 1; i < CONFIG_MAX_VCPUS; i++)
		assert_int_equal(lapic_take_signals(&host_vcpus[i]), LAPIC_SIGNAL_NMI);
	send_xapic(0, 0, SELF | NMI); /* not by this way */
	assert_false(lapic_signalled(&host_vcpus[0]));
	send_xapic(0, 0, NMI);
	assert_true(lapic_signalled(&host_vcpus[0]));

	lapic_mmio_write(&host_vcpus[1], 0xf0, 0xff); /* a disabled APIC takes it all the same */
	send_xapic(0, 1, NMI);
	assert_int_equal(target->signals, LAPIC_SIGNAL_NMI);
	send_xapic(0, 1, STARTUP | 0x12);
	assert_int_equal(target->signals, LAPIC_SIGNAL_NMI | LAPIC_SIGNAL_STARTUP | 0x52);
	send_xapic(0, 1, INIT | ASSERT);
	assert_int_equal(target->signals, LAPIC_SIGNAL_INIT);
}

/* The button: what it does is up to LINT1's entry. */
static void test_lint1(void **state)
{
	struct vcpu *vcpu = &host_vcpus[1];

	(void)state;
	lapic_press_nmi(vcpu); /* masked */
	assert_false(lapic_signalled(vcpu));
	lapic_mmio_write(vcpu, 0x360, 0x400);
	lapic_press_nmi(vcpu);
	assert_int_equal(lapic_take_signals(vcpu), LAPIC_SIGNAL_NMI);
	lapic_mmio_write(vcpu, 0x360, 0x40);
	lapic_press_nmi(vcpu);
	assert_false(lapic_signalled(vcpu));
	assert_int_equal(taken(0x40), 1u << 1);
	lapic_mmio_write(vcpu, 0x360, 0x740); /* ExtINT: there is no such controller */
	lapic_press_nmi(vcpu);
	assert_int_equal(taken(0x40), 0);
	assert_false(lapic_signalled(vcpu));
}

static void test_init_keeps_identity(void **state)
{
	struct lapic *lapic = &host_vcpus[1].lapic;
	uint64_t base;

	(void)state;
	enable(0, 2, true);
	base = lapic->base_msr;
	lapic_raise(&host_vcpus[1], 0x40, false);
	lapic->tpr = 0x20;
	lapic_obey_init(lapic);
	assert_int_equal(lapic->base_msr, base); /* still in x2APIC mode */
	assert_int_equal(lapic->id, 1);
	assert_int_equal(lapic->tpr, 0);
	assert_int_equal(lapic_pending(&host_vcpus[1]), -1);
	assert_false(lapic_software_enabled(lapic));
	assert_true(lapic->timer_deadline == TIME_NEVER);
}

static void test_startup_reaches_a_disabled_apic(void **state)
{
	(void)state;
	lapic_mmio_write(&host_vcpus[1], 0xf0, 0xff);
	send_xapic(0, 1, INIT | ASSERT);
	assert_true(lapic_signalled(&host_vcpus[1]));
}

static void test_other_modes_are_dropped(void **state)
{
	(void)state;
	for (uint32_t mode = 0; mode < 8; mode++) {
		if (mode == 0 || mode == 1 || mode >= 4)
			continue;
		assert_int_equal(send_xapic(0, 0xff, mode << 8), 0);
	}
	assert_int_equal(host.kicks, 0);
	assert_int_equal(send_xapic(0, 0xff, LEVEL), ALL); /* its trigger mode means nothing */
}

static void test_ioapic_messages(void **state)
{
	struct lapic_message message = {.dest = 7, .narrow = true, .vector = 0x40};

	(void)state;
	assert_true(lapic_deliver(&host_vm, &message));
	assert_int_equal(taken(0x40), 1u << 7);
	message.dest = CONFIG_MAX_VCPUS;
	assert_false(lapic_deliver(&host_vm, &message));
	message.dest = 0xff;
	assert_true(lapic_deliver(&host_vm, &message));
	assert_int_equal(taken(0x40), ALL);
	message.mode = LAPIC_MODE_STARTUP;
	assert_true(lapic_deliver(&host_vm, &message));
	message.mode = 7; /* ExtINT */
	assert_false(lapic_deliver(&host_vm, &message));
	lapic_msr_write(&host_vcpus[CONFIG_MAX_VCPUS - 1], 0x80f, 0xff);
	message.mode = LAPIC_MODE_FIXED; /* one that does not accept does not undo the others */
	assert_true(lapic_deliver(&host_vm, &message));
	assert_int_equal(taken(0x40), ALL >> 1);
	message.mode = LAPIC_MODE_FIXED;
	message.dest = 0x06; /* 8 bits can name the first members of x2APIC cluster 0 */
	message.logical = true;
	assert_true(lapic_deliver(&host_vm, &message));
	assert_int_equal(taken(0x40), 0x6);
	message.mode = LAPIC_MODE_LOWEST_PRIORITY;
	assert_true(lapic_deliver(&host_vm, &message));
	assert_int_equal(taken(0x40), 0x2);
}

/* More vCPUs may be created than run yet: the loops end at vcpu_count. */
static void test_only_existing_vcpus(void **state)
{
	(void)state;
	host_vm.vcpu_count = 2;
	for (uint32_t i = 2; i < CONFIG_MAX_VCPUS; i++)
		host_vm.vcpus[i] = NULL;
	assert_int_equal(send_x2apic(0, UINT32_MAX, 0), 3);
	assert_int_equal(send_x2apic(0, 2, 0), 0);
	assert_int_equal(send_x2apic(0, 0, OTHERS), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_xapic_physical, setup_xapic),
		cmocka_unit_test_setup(test_shorthands, setup_xapic),
		cmocka_unit_test_setup(test_xapic_flat, setup_xapic),
		cmocka_unit_test_setup(test_xapic_cluster, setup_xapic),
		cmocka_unit_test_setup(test_x2apic_physical, setup_x2apic),
		cmocka_unit_test_setup(test_x2apic_cluster, setup_x2apic),
		cmocka_unit_test_setup(test_mixed_modes, setup_x2apic),
		cmocka_unit_test_setup(test_lowest_priority_takes_one, setup_x2apic),
		cmocka_unit_test_setup(test_illegal_vector_is_not_sent, setup_x2apic),
		cmocka_unit_test_setup(test_startup, setup_xapic),
		cmocka_unit_test_setup(test_nmi, setup_xapic),
		cmocka_unit_test_setup(test_lint1, setup_xapic),
		cmocka_unit_test_setup(test_init_keeps_identity, setup_xapic),
		cmocka_unit_test_setup(test_startup_reaches_a_disabled_apic, setup_xapic),
		cmocka_unit_test_setup(test_other_modes_are_dropped, setup_xapic),
		cmocka_unit_test_setup(test_ioapic_messages, setup_x2apic),
		cmocka_unit_test_setup(test_only_existing_vcpus, setup_x2apic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NMIs from one vCPU to another: while it spins with interrupts off, while it halts with them on or
 * off, and while it handles the one before, until that one's IRET. In between the handler makes
 * exits of its own.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/smp.h"
#include "tests/guest/lib/test.h"

#define OTHER_ID	1u
#define VECTOR_PING	0x40
#define VECTOR_SPURIOUS 0xff
#define ROUNDS		20u
#define MORE		3u
#define TRIES		20u
#define TICKS_TO_WAIT	3000000000ull /* then something counts as lost */
#define TICKS_TO_COME	2000000u      /* long enough for what must not come */

const char test_name[] = "nmi";

enum task { SPIN, HALT, HALT_FOR_GOOD };

/* Written by the other vCPU, read by the first. */
static volatile unsigned int starts, nmis, nested, pings, halts;
static volatile bool handling;

/* Written by the first vCPU. */
static volatile enum task task;
static volatile bool hold; /* the handler does not return */

static void pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static void on_nmi(void)
{
	if (handling)
		nested++;
	handling = true;
	cpuid(0, 0); /* an exit, which is no end of the handler */
	nmis++;
	while (hold)
		pause();
	cpuid(0, 0);
	handling = false;
}

static void on_ping(void)
{
	pings++;
	apic_write(APIC_EOI, 0);
}

static void other_main(void)
{
	apic_use_x2apic();
	apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	starts++;
	for (;;) {
		if (task == SPIN) {
			pause();
			continue;
		}
		halts++;
		if (task == HALT)
			irq_wait();
		else
			__asm__ volatile("hlt");
	}
}

static bool wait_until(const volatile unsigned int *counter, unsigned int value)
{
	uint64_t start = rdtsc();

	while (*counter < value) {
		if (rdtsc() - start > TICKS_TO_WAIT)
			return false;
		pause();
	}
	return true;
}

static void let_pass(void)
{
	uint64_t start = rdtsc();

	while (rdtsc() - start < TICKS_TO_COME)
		pause();
}

static void send_nmi(void)
{
	apic_send(OTHER_ID, APIC_ICR_NMI);
}

static bool leaves_halt(unsigned int before)
{
	uint64_t start = rdtsc();

	while (halts == before && rdtsc() - start < TICKS_TO_COME)
		pause();
	return halts != before;
}

/*
 * One after the other; each comes once. One that comes right before a HLT, where only the turns
 * that vCPUs take can bring it, does not end that: then the next one has to.
 */
static void test_rounds(enum task what, const char *name)
{
	unsigned int sent = 0;

	print("nmi: %s\n", name);
	task = what;
	if (what == SPIN)
		apic_send(OTHER_ID, APIC_ICR_NMI); /* out of a halt, should it be in one */
	let_pass();
	nmis = 0;
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		unsigned int before = halts, tries = 0;

		do {
			send_nmi();
			if (!wait_until(&nmis, ++sent)) {
				test_failure("%s: NMI %u is lost", name, sent);
				return;
			}
		} while (what != SPIN && !leaves_halt(before) && ++tries < TRIES);
		CHECK(tries < TRIES, "%s: it does not wake", name);
	}
	let_pass();
	CHECK_EQ(nmis, sent, name);
}

/* One that comes while another is handled waits for the IRET; a third one is that same one. */
static void test_nesting(void)
{
	print("nmi: nesting\n");
	nmis = 0;
	hold = true;
	send_nmi();
	CHECK(wait_until(&nmis, 1), "the NMI whose handler waits is lost");
	for (unsigned int i = 0; i < MORE; i++) {
		send_nmi();
		let_pass();
	}
	CHECK_EQ(nmis, 1, "NMIs while the first one is handled");
	hold = false;
	CHECK(wait_until(&nmis, 2), "the NMI that had to wait is lost");
	let_pass();
	CHECK_EQ(nmis, 2, "NMIs in all: what waits is one");
}

void test_main(void)
{
	trap_set_handler(VECTOR_NMI, on_nmi);
	trap_set_handler(VECTOR_PING, on_ping);
	apic_use_x2apic();
	apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	smp_start(OTHER_ID, other_main);
	if (!wait_until(&starts, 1)) {
		test_error("the other vCPU does not start: vcpus=2 is needed");
		return;
	}
	test_rounds(SPIN, "NMIs while it spins");
	test_nesting();
	test_rounds(HALT, "NMIs while it halts");
	apic_send(OTHER_ID, VECTOR_PING);
	CHECK(wait_until(&pings, 1), "no interrupt after the NMIs");
	test_rounds(HALT_FOR_GOOD, "NMIs while it halts with interrupts off");
	nmis = 0;
	apic_send(OTHER_ID, APIC_ICR_OTHERS | APIC_ICR_NMI);
	CHECK(wait_until(&nmis, 1), "the NMI to all others is lost");
	test_rounds(SPIN, "NMIs while it spins again");
	CHECK_EQ(nested, 0, "NMIs inside of an NMI's handler");
}

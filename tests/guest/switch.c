/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What it costs to hand a CPU over, in TSC ticks: a vCPU sends the other one an interrupt and halts
 * until it answers; the figure is half the median round. On one CPU that is a switch of vCPUs; with
 * the word "wake" on two CPUs, waking a halted one.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/smp.h"
#include "tests/guest/lib/test.h"

#define OTHER_ID	1u
#define VECTOR_PING	0x40
#define VECTOR_PONG	0x50
#define VECTOR_SPURIOUS 0xff

#define ROUNDS	      33u
#define WARM_UP	      8u
#define TICKS_TO_WAIT 20000000000ull

const char test_name[] = "switch";

static volatile unsigned int starts, pongs;
static uint64_t samples[ROUNDS];

static void on_ping(void)
{
	apic_write(APIC_EOI, 0);
	apic_send(0, VECTOR_PONG);
}

static void on_pong(void)
{
	pongs++;
	apic_write(APIC_EOI, 0);
}

static void other_main(void)
{
	apic_use_x2apic();
	apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	starts++;
	for (;;)
		irq_wait();
}

static uint64_t time_round(void)
{
	unsigned int before = pongs;
	uint64_t start = rdtsc();

	apic_send(OTHER_ID, VECTOR_PING);
	while (pongs == before)
		irq_wait();
	return rdtsc() - start;
}

static uint64_t median(void)
{
	for (unsigned int i = 1; i < ROUNDS; i++) {
		uint64_t sample = samples[i];
		unsigned int at = i;

		for (; at > 0 && samples[at - 1] > sample; at--)
			samples[at] = samples[at - 1];
		samples[at] = sample;
	}
	return samples[ROUNDS / 2];
}

void test_main(void)
{
	uint64_t start = rdtsc();

	trap_set_handler(VECTOR_PING, on_ping);
	trap_set_handler(VECTOR_PONG, on_pong);
	apic_use_x2apic();
	apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	smp_start(OTHER_ID, other_main);
	while (!starts) {
		if (rdtsc() - start > TICKS_TO_WAIT) {
			test_error("the other vCPU does not start: vcpus=2 is needed");
			return;
		}
		irq_window();
		__asm__ volatile("pause");
	}
	for (unsigned int i = 0; i < WARM_UP; i++)
		time_round();
	for (unsigned int i = 0; i < ROUNDS; i++)
		samples[i] = time_round();
	print("bench %s %lu\n", cmdline_has("wake") ? "vcpu_wake" : "guest_switch", median() / 2);
}

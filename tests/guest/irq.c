/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupts: the local APIC's timer in its modes, interrupts to oneself, task priority, the UART
 * by way of the I/O APIC, and HLT that ends when one of them comes. First in xAPIC mode by memory
 * accesses, then in x2APIC mode by MSRs.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

#define CPUID_1_ECX_X2APIC	 (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)

#define VECTOR_TIMER	0x40
#define VECTOR_SELF	0x50
#define VECTOR_UART	0x60
#define VECTOR_SPURIOUS 0xff

#define TPR_ABOVE_SELF (VECTOR_SELF & 0xf0)

#define UART_IRQ      4
#define UART_IER      0x3f9
#define UART_IIR      0x3fa
#define UART_MCR      0x3fc
#define UART_IER_THRE 0x02
#define UART_IIR_THRE 0x02
#define UART_IIR_MASK 0x0f
#define UART_MCR_OUT2 0x08 /* lets the interrupt out of the chip */

#define TIMER_TICKS   200000u /* one-shot: much longer than it takes to write the registers */
#define RACES	      200u
#define RACE_TICKS    16384u /* from soon after the write of the count to long behind the HLT */
#define RACE_STEP     7919u
#define PERIODS	      3
#define MANY	      200u
#define ATTEMPTS      20
#define TSC_AHEAD     2000000u
#define TICKS_TO_WAIT 2000000000ull /* then an interrupt counts as lost */

const char test_name[] = "irq";

static volatile unsigned int timer_count, self_count, uart_count;
static volatile uint64_t timer_tsc;
static volatile uint8_t uart_iir;
static volatile unsigned int uart_leave; /* interrupts whose cause is not taken away */

static void on_timer(void)
{
	timer_tsc = rdtsc();
	timer_count++;
	apic_write(APIC_EOI, 0);
}

static void on_self(void)
{
	self_count++;
	apic_write(APIC_EOI, 0);
}

static void on_uart(void)
{
	uart_count++;
	if (uart_leave) {
		uart_leave--;
	} else {
		uart_iir = in8(UART_IIR); /* which lets the line fall */
		out8(UART_IER, 0);
	}
	apic_write(APIC_EOI, 0);
}

/* Waits until a counter has a value; with interrupts on all the time, or halted in between. */
static bool wait_for(const volatile unsigned int *counter, unsigned int value)
{
	uint64_t start = rdtsc();

	irq_enable();
	while (*counter < value && rdtsc() - start < TICKS_TO_WAIT)
		continue;
	irq_disable();
	return *counter >= value;
}

static void start_timer(uint32_t mode, uint32_t ticks)
{
	timer_count = 0;
	apic_write(APIC_LVT_TIMER, mode | VECTOR_TIMER);
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_TIMER_INITIAL, ticks);
}

static void stop_timer(void)
{
	apic_write(APIC_TIMER_INITIAL, 0);
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED | VECTOR_TIMER);
}

static void test_one_shot(const char *apic)
{
	uint32_t current;

	start_timer(APIC_TIMER_ONE_SHOT, UINT32_MAX);
	current = apic_read(APIC_TIMER_CURRENT);
	CHECK(current > 0, "%s: the running timer's count is 0", apic);
	CHECK(apic_read(APIC_TIMER_CURRENT) <= current, "%s: the timer counts upwards", apic);

	start_timer(APIC_TIMER_ONE_SHOT, TIMER_TICKS);
	CHECK(wait_for(&timer_count, 1), "%s: no interrupt from the one-shot timer", apic);
	CHECK_EQ(apic_read(APIC_TIMER_CURRENT), 0, "count of the timer that has fired");
	CHECK_EQ(timer_count, 1, "interrupts from the one-shot timer");

	start_timer(APIC_TIMER_ONE_SHOT, TIMER_TICKS);
	irq_wait(); /* a lost wake-up hangs here: the harness's time limit tells */
	CHECK_EQ(timer_count, 1, "timer interrupts that ended HLT");

	start_timer(APIC_TIMER_ONE_SHOT | APIC_LVT_MASKED, TIMER_TICKS);
	while (apic_read(APIC_TIMER_CURRENT) > 0)
		continue;
	irq_window();
	CHECK_EQ(timer_count, 0, "interrupts from the masked timer");
	stop_timer();
}

/*
 * The interrupt that ends a HLT may come at any moment before it: also between STI and HLT, where
 * nothing is delivered. Taken there, it would not end the HLT: see irq_wait() above.
 */
static void test_race_to_halt(const char *apic)
{
	for (unsigned int i = 1; i <= RACES; i++) {
		start_timer(APIC_TIMER_ONE_SHOT, RACE_TICKS + i * RACE_STEP % RACE_TICKS);
		irq_wait();
		if (timer_count != 1) {
			test_failure("%s: %u timer interrupts ended HLT %u", apic, timer_count, i);
			break;
		}
	}
	stop_timer();
}

static void test_periodic(const char *apic)
{
	start_timer(APIC_TIMER_PERIODIC, TIMER_TICKS);
	CHECK(wait_for(&timer_count, PERIODS), "%s: %u interrupts from the periodic timer, not %d",
	      apic, timer_count, PERIODS);
	stop_timer();
	irq_window();
	timer_count = 0;
	CHECK(apic_read(APIC_TIMER_CURRENT) == 0, "%s: a stopped timer counts", apic);
}

/*
 * Zero disarms. On a busy host the deadline may have passed before we came to disarm it: then that
 * attempt says nothing.
 */
static void test_disarmed_deadline(void)
{
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		uint64_t deadline = rdtsc() + TSC_AHEAD;

		CHECK_EQ(wrmsr_safe(MSR_TSC_DEADLINE, deadline), NO_VECTOR, "a deadline");
		CHECK_EQ(wrmsr_safe(MSR_TSC_DEADLINE, 0), NO_VECTOR, "no deadline");
		if (rdtsc() >= deadline) {
			irq_window();
			continue;
		}
		timer_count = 0;
		irq_enable();
		while (rdtsc() < deadline + TSC_AHEAD)
			continue;
		irq_disable();
		CHECK_EQ(timer_count, 0, "interrupts from the disarmed deadline");
		return;
	}
	test_error("too slow to disarm a deadline %u ticks ahead", TSC_AHEAD);
}

static void test_tsc_deadline(const char *apic)
{
	uint64_t deadline, value;

	apic_write(APIC_LVT_TIMER, APIC_TIMER_TSC_DEADLINE | VECTOR_TIMER);
	timer_count = 0;
	deadline = rdtsc() + TSC_AHEAD;
	CHECK_EQ(wrmsr_safe(MSR_TSC_DEADLINE, deadline), NO_VECTOR, "write of the deadline");
	CHECK(wait_for(&timer_count, 1), "%s: no interrupt at the deadline", apic);
	CHECK(timer_tsc >= deadline, "%s: the interrupt came %lu ticks before the deadline", apic,
	      deadline - timer_tsc);
	CHECK_EQ(rdmsr_safe(MSR_TSC_DEADLINE, &value), NO_VECTOR, "read of the deadline");
	CHECK_EQ(value, 0, "deadline that has passed");

	timer_count = 0;
	CHECK_EQ(wrmsr_safe(MSR_TSC_DEADLINE, rdtsc() + TSC_AHEAD), NO_VECTOR, "next deadline");
	irq_wait();
	CHECK_EQ(timer_count, 1, "deadline interrupts that ended HLT");

	timer_count = 0; /* in the past: at once */
	CHECK_EQ(wrmsr_safe(MSR_TSC_DEADLINE, 1), NO_VECTOR, "deadline in the past");
	CHECK(wait_for(&timer_count, 1), "%s: no interrupt for a deadline in the past", apic);

	test_disarmed_deadline();
	stop_timer();
}

/* An interrupt waits while the task priority or the interrupt flag holds it back. */
static void test_self(const char *apic)
{
	self_count = 0;
	apic_send_self(VECTOR_SELF);
	CHECK_EQ(self_count, 0, "interrupts with the flag off");
	CHECK(wait_for(&self_count, 1), "%s: no interrupt from oneself", apic);

	apic_write(APIC_TPR, TPR_ABOVE_SELF);
	apic_send_self(VECTOR_SELF);
	irq_window();
	CHECK_EQ(self_count, 1, "interrupts below the task priority");
	CHECK(apic_read(APIC_IRR + VECTOR_SELF / 32 * 16) & 1u << VECTOR_SELF % 32,
	      "%s: the interrupt that waits is not in the IRR", apic);
	apic_write(APIC_TPR, 0);
	CHECK(wait_for(&self_count, 2), "%s: no interrupt when the task priority fell", apic);
	CHECK_EQ(self_count, 2, "interrupts from oneself");
	if (apic_is_x2apic()) {
		apic_write(APIC_SELF_IPI, VECTOR_SELF);
		CHECK(wait_for(&self_count, 3), "no interrupt by the self-IPI register");
		for (unsigned int i = 1; i <= MANY; i++) {
			apic_write(APIC_SELF_IPI, VECTOR_SELF);
			CHECK(wait_for(&self_count, 3 + i), "self-IPI %u is lost", i);
		}
		self_count = 3;
		apic_write(APIC_SELF_IPI, 5); /* illegal: an error, and no interrupt */
		irq_window();
		CHECK_EQ(self_count, 3, "interrupts after an illegal vector");
	}
}

/* An empty transmitter raises the UART's line as soon as it may. */
static void test_uart(const char *apic)
{
	uart_count = 0;
	ioapic_route(UART_IRQ, VECTOR_UART, IOAPIC_EDGE);
	out8(UART_MCR, UART_MCR_OUT2);
	out8(UART_IER, UART_IER_THRE);
	CHECK(wait_for(&uart_count, 1), "%s: no interrupt from the UART", apic);
	CHECK_EQ(uart_iir & UART_IIR_MASK, UART_IIR_THRE, "reason of the UART's interrupt");
	out8(UART_IER, 0);
	ioapic_mask(UART_IRQ);

	out8(UART_IER, UART_IER_THRE);
	irq_window();
	CHECK_EQ(uart_count, 1, "interrupts from the masked pin");
	out8(UART_IER, 0);
	out8(UART_MCR, 0);
}

/* As long as the line is high, the end of the interrupt brings the next one. */
static void test_level(const char *apic)
{
	uart_count = 0;
	uart_leave = 2;
	ioapic_route(UART_IRQ, VECTOR_UART, IOAPIC_LEVEL);
	out8(UART_MCR, UART_MCR_OUT2);
	out8(UART_IER, UART_IER_THRE);
	CHECK(wait_for(&uart_count, 3), "%s: %u level-triggered interrupts, not 3", apic,
	      uart_count);
	irq_window();
	CHECK_EQ(uart_count, 3, "level-triggered interrupts");
	ioapic_mask(UART_IRQ);
	out8(UART_MCR, 0);

	uart_count = 0; /* the vector is an edge's again: no interrupt of the I/O APIC ends */
	test_uart(apic);
}

static void test_all(const char *apic)
{
	print("irq: %s\n", apic);
	apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	apic_write(APIC_TPR, 0);
	test_self(apic);
	test_one_shot(apic);
	test_race_to_halt(apic);
	test_periodic(apic);
	if (cpuid(1, 0).ecx & CPUID_1_ECX_TSC_DEADLINE)
		test_tsc_deadline(apic);
	else
		test_skip("no TSC-deadline timer");
	test_uart(apic);
	test_level(apic);
}

void test_main(void)
{
	trap_set_handler(VECTOR_TIMER, on_timer);
	trap_set_handler(VECTOR_SELF, on_self);
	trap_set_handler(VECTOR_UART, on_uart);
	if (cmdline_has("x2apic"))
		print("irq: x2APIC mode only\n");
	else if (apic_is_x2apic())
		test_skip("starts in x2APIC mode: no way back to xAPIC mode");
	else
		test_all("xAPIC");
	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_X2APIC)) {
		test_skip("no x2APIC");
		return;
	}
	apic_use_x2apic();
	test_all("x2APIC");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two vCPUs: starting the second one, again and again; interrupts to and fro, while it halts and
 * while it spins; the same page put and got by both at once; one time for both.
 */
#include "tests/guest/lib/smp.h"
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define OTHER_ID 1u

#define VECTOR_PING	0x40
#define VECTOR_PONG	0x50
#define VECTOR_SPURIOUS 0xff
#define SVR_RESET	0xffu

#define HALTED_ROUNDS 200u
#define SPUN_ROUNDS   20u
#define TSC_ROUNDS    20u
#define PAGE_ROUNDS   300u
#define STORM	      2000u /* interrupts sent without waiting */
#define WORDS	      (TIDEPOOL_PAGE_SIZE / sizeof(uint64_t))
#define TICKS_TO_WAIT 20000000000ull /* then something counts as lost */

const char test_name[] = "smp";

/* Written by the other vCPU, read by the first. */
static volatile unsigned int starts, pings, answers, shared_torn, shared_errors;
static volatile uint32_t other_id, other_svr, other_topology_id;
static volatile bool other_x2apic, pages_done;
static volatile uint64_t shared_tsc; /* whose turn: even: the first's, odd: the other's */
static volatile unsigned int turn, tsc_backwards;

/* Written by the first vCPU. */
static volatile bool spin, trade_tsc, trade_pages, halt_for_good;
static volatile unsigned int pongs;

static int64_t pool;
static const struct page_key shared_key = {.oid = {7, 7, 7}, .index = 7};
static uint64_t first_page[WORDS] __attribute__((aligned(TIDEPOOL_PAGE_SIZE)));
static uint64_t other_page[WORDS] __attribute__((aligned(TIDEPOOL_PAGE_SIZE)));

static void pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static void on_ping(void)
{
	pings++;
	apic_write(APIC_EOI, 0);
	apic_send(0, VECTOR_PONG);
}

static void on_pong(void)
{
	pongs++;
	apic_write(APIC_EOI, 0);
}

/* Puts pages that are all one word, and looks whether what comes back is one of them. */
static void use_pages(uint64_t *page, uint64_t word, volatile unsigned int *torn,
		      volatile unsigned int *errors)
{
	for (unsigned int round = 0; round < PAGE_ROUNDS; round++, word++) {
		int64_t got;

		for (unsigned int i = 0; i < WORDS; i++)
			page[i] = word;
		if (page_put((uint64_t)pool, &shared_key, page) < 0)
			(*errors)++;
		got = page_get((uint64_t)pool, &shared_key, page);
		if (got < 0)
			(*errors)++;
		for (unsigned int i = 1; i < WORDS; i++) {
			if (page[i] != page[0]) {
				(*torn)++;
				break;
			}
		}
	}
}

/* Each reads the TSC after the other one has: it must not be earlier. */
static void compare_tsc(unsigned int mine, unsigned int rounds)
{
	while (rounds > 0) {
		uint64_t now;

		while (turn % 2 != mine)
			pause();
		now = rdtsc();
		if (now < shared_tsc)
			tsc_backwards++;
		shared_tsc = now;
		turn++;
		rounds--;
	}
}

static void other_main(void)
{
	struct cpuid_regs topology = cpuid(0xb, 1);

	other_x2apic = apic_is_x2apic();
	other_svr = apic_read(APIC_SVR);
	apic_use_x2apic();
	other_id = apic_read(APIC_ID);
	other_topology_id = topology.edx;
	apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	starts++;
	while (!halt_for_good) {
		if (trade_tsc) {
			trade_tsc = false;
			compare_tsc(1, TSC_ROUNDS);
		} else if (trade_pages) {
			trade_pages = false;
			use_pages(other_page, 1ull << 32, &shared_torn, &shared_errors);
			pages_done = true;
		} else if (spin) {
			irq_window();
			pause();
		} else {
			irq_wait();
		}
	}
}

/* Interrupts are off but for those that end the wait. */
static bool wait_until(const volatile unsigned int *counter, unsigned int value)
{
	uint64_t start = rdtsc();

	while (*counter != value) {
		if (rdtsc() - start > TICKS_TO_WAIT)
			return false;
		irq_window();
		pause();
	}
	return true;
}

/* Without the other vCPU nothing below can be tested. */
static void start_other(unsigned int expected)
{
	smp_start(OTHER_ID, other_main);
	if (!wait_until(&starts, expected)) {
		test_failure("start %u of the other vCPU: it does not run", expected);
		test_finish();
	}
}

static void test_start(void)
{
	CHECK_EQ(starts, 0, "starts before the first");
	apic_send(OTHER_ID, VECTOR_PING); /* to one that waits for its start: lost */
	start_other(1);
	CHECK_EQ(other_id, OTHER_ID, "id of the other local APIC");
	CHECK_EQ(other_topology_id, OTHER_ID, "id in CPUID leaf 0xb of the other");
	CHECK_EQ(cpuid(0xb, 1).ebx, 2, "vCPUs in CPUID leaf 0xb");
	CHECK(!other_x2apic, "the other local APIC starts in x2APIC mode");
	CHECK_EQ(other_svr, SVR_RESET, "the other's spurious-interrupt register");
	CHECK_EQ(pings, 0, "interrupts before it ran");
}

static void test_interrupts(void)
{
	pongs = 0;
	for (unsigned int i = 1; i <= HALTED_ROUNDS; i++) {
		apic_send(OTHER_ID, VECTOR_PING);
		while (pongs < i)
			irq_wait(); /* a lost wake-up hangs here: the harness's time limit tells */
	}
	CHECK_EQ(pings, HALTED_ROUNDS, "interrupts to the halted vCPU");
	CHECK_EQ(pongs, HALTED_ROUNDS, "interrupts from it");

	/* As a kernel flushes other CPUs' TLBs: it spins for the answer. */
	spin = true;
	apic_send(OTHER_ID, VECTOR_PING);
	for (unsigned int i = 1; i <= SPUN_ROUNDS; i++) {
		CHECK(wait_until(&pongs, HALTED_ROUNDS + i), "answer %u is lost", i);
		apic_send(OTHER_ID, VECTOR_PING);
	}
	CHECK(wait_until(&pongs, HALTED_ROUNDS + SPUN_ROUNDS + 1), "the last answer is lost");

	/* A start-up without INIT means nothing to one that runs. */
	apic_send(OTHER_ID, APIC_ICR_STARTUP | smp_start_page());
	apic_send(OTHER_ID, VECTOR_PING);
	CHECK(wait_until(&pongs, HALTED_ROUNDS + SPUN_ROUNDS + 2), "it is gone after a start-up");
	CHECK_EQ(starts, 1, "starts after a start-up without INIT");

	/* More than are taken: some merge, none block. */
	for (unsigned int i = 0; i < STORM; i++)
		apic_send(OTHER_ID, VECTOR_PING);
	irq_window();
}

static void test_time(void)
{
	shared_tsc = rdtsc();
	trade_tsc = true;
	compare_tsc(0, TSC_ROUNDS);
	CHECK_EQ(tsc_backwards, 0, "times that one vCPU's TSC was behind the other's");
}

static void test_pages(void)
{
	unsigned int torn = 0, errors = 0;
	uint64_t start = rdtsc();

	pool = pool_new(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION);
	CHECK(pool >= 0, "new pool: %ld", pool);
	trade_pages = true;
	use_pages(first_page, 1, &torn, &errors);
	while (!pages_done && rdtsc() - start < TICKS_TO_WAIT)
		pause();
	CHECK(pages_done, "the other vCPU does not get done with its pages");
	CHECK_EQ(torn, 0, "torn pages that the first vCPU got");
	CHECK_EQ(shared_torn, 0, "torn pages that the other vCPU got");
	CHECK_EQ(errors + shared_errors, 0, "calls that failed");
	CHECK_EQ(pool_destroy((uint64_t)pool), 0, "destruction of the pool");
}

/* INIT stops it wherever it is; the local APIC keeps its mode and forgets the rest. */
static void test_restart(void)
{
	start_other(2); /* out of a loop */
	CHECK(other_x2apic, "INIT took the local APIC out of x2APIC mode");
	CHECK_EQ(other_svr, SVR_RESET, "spurious-interrupt register after INIT");
	halt_for_good = true;
	spin = true;
	apic_send(OTHER_ID, VECTOR_PING); /* wakes it, so that it sees the flag */
	for (int i = 0; i < 1000; i++)
		pause();
	halt_for_good = false;
	start_other(3); /* out of HLT with interrupts off, or nearly there */
	spin = false;
	pongs = 0;
	apic_send(OTHER_ID, VECTOR_PING);
	CHECK(wait_until(&pongs, 1), "no answer after the third start");
	apic_send(OTHER_ID, APIC_ICR_INIT); /* and no start: it waits */
	pings = 0;
	apic_send(OTHER_ID, VECTOR_PING);
	irq_window();
	CHECK_EQ(pings, 0, "interrupts to a vCPU that waits for its start");
	start_other(4);
	spin = true; /* the guest ends while it runs */
}

void test_main(void)
{
	tidepool_require();
	trap_set_handler(VECTOR_PING, on_ping);
	trap_set_handler(VECTOR_PONG, on_pong);
	apic_use_x2apic();
	apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	test_start();
	test_interrupts();
	test_time();
	test_pages();
	test_restart();
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a call and an exit cost, in TSC ticks: each figure is the median of 32 rounds, less the
 * median of as many rounds with the same instructions around nothing.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/disk.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define ROUNDS	 32
#define WARM_UP	 8
#define MSR_APIC 0x1b /* IA32_APIC_BASE: every guest may read it */
#define UART_LSR 0x3fd

const char test_name[] = "bench";

static uint8_t pages[ROUNDS][TIDEPOOL_PAGE_SIZE] __attribute__((aligned(4096)));
static uint64_t pool;
static bool amd;

/*
 * Ticks around one instruction. LFENCE keeps RDTSC in its place on processors that reorder. The
 * first time stamp waits in R10 and R11, which no call changes.
 */
#define TIMED(insn)                                                                                \
	({                                                                                         \
		register uint64_t r8 __asm__("r8") = args.r8;                                      \
		register uint64_t r9 __asm__("r9") = args.r9;                                      \
		register uint64_t low __asm__("r10");                                              \
		register uint64_t high __asm__("r11");                                             \
		uint64_t rax = args.rax, rcx = args.rcx, rdx = args.rdx, rdi = args.rdi,           \
			 rsi = args.rsi;                                                           \
                                                                                                   \
		__asm__ volatile("movq %%rax, %%r12\n"                                             \
				 "movq %%rdx, %%r13\n"                                             \
				 "lfence\n"                                                        \
				 "rdtsc\n"                                                         \
				 "movq %%rax, %%r10\n"                                             \
				 "movq %%rdx, %%r11\n"                                             \
				 "movq %%r12, %%rax\n"                                             \
				 "movq %%r13, %%rdx\n" insn "\n"                                   \
				 "movq %%rax, %%r12\n"                                             \
				 "lfence\n"                                                        \
				 "rdtsc\n"                                                         \
				 : "+a"(rax), "+d"(rdx), "+c"(rcx), "+D"(rdi), "+S"(rsi),          \
				   "=&r"(low), "=&r"(high)                                         \
				 : "r"(r8), "r"(r9)                                                \
				 : "rbx", "r12", "r13", "memory");                                 \
		(rdx << 32 | rax) - (high << 32 | low);                                            \
	})

/* The registers that the timed instruction finds. */
static struct call_regs args;

static uint64_t time_nothing(void)
{
	return TIMED("");
}

static uint64_t time_call(void)
{
	return amd ? TIMED("vmmcall") : TIMED("vmcall");
}

static uint64_t time_cpuid(void)
{
	return TIMED("cpuid");
}

static uint64_t time_msr(void)
{
	return TIMED("rdmsr");
}

static uint64_t time_ioport(void)
{
	return TIMED("inb %%dx, %%al");
}

static uint64_t time_mmio(void)
{
	return TIMED("movl (%%rdi), %%eax");
}

/* What each figure's registers are in round @i. */
static void set_null(unsigned int i)
{
	(void)i;
	args.rax = TIDEPOOL_CALL(TIDEPOOL_OP_NULL);
}

static void set_page(uint64_t op, uint64_t index, unsigned int i)
{
	args.rax = TIDEPOOL_CALL(op);
	args.rdi = pool;
	args.rsi = args.rdx = args.rcx = 1;
	args.r8 = index;
	args.r9 = (uint64_t)pages[i % ROUNDS] / TIDEPOOL_PAGE_SIZE;
	pages[i % ROUNDS][0] = 1; /* a page of zeros is not stored as data */
}

/* Contents that the store does not have, but for the last few rounds. */
static void set_put(unsigned int i)
{
	set_page(TIDEPOOL_OP_PUT_PAGE, i, i);
}

static void set_duplicate(unsigned int i)
{
	set_page(TIDEPOOL_OP_PUT_PAGE, WARM_UP + ROUNDS + i, i);
}

static void set_get(unsigned int i)
{
	set_page(TIDEPOOL_OP_GET_PAGE, i, i);
}

static void set_cpuid(unsigned int i)
{
	(void)i;
	args.rax = 0;
	args.rcx = 0;
}

static void set_msr(unsigned int i)
{
	(void)i;
	args.rcx = MSR_APIC;
}

static void set_ioport(unsigned int i)
{
	(void)i;
	args.rdx = UART_LSR;
}

static void set_mmio(unsigned int i)
{
	(void)i;
	args.rdi = IOAPIC_BASE;
}

static const struct figure {
	const char *name;
	void (*set)(unsigned int round);
	uint64_t (*time)(void);
} figures[] = {
	{"hypercall_null", set_null, time_call},     {"put_4k", set_put, time_call},
	{"put_duplicate", set_duplicate, time_call}, {"get_4k", set_get, time_call},
	{"exit_cpuid", set_cpuid, time_cpuid},	     {"exit_msr", set_msr, time_msr},
	{"exit_ioport", set_ioport, time_ioport},    {"exit_mmio", set_mmio, time_mmio},
};

static uint64_t median(uint64_t *values)
{
	for (unsigned int i = 1; i < ROUNDS; i++) {
		uint64_t value = values[i];
		unsigned int j = i;

		for (; j > 0 && values[j - 1] > value; j--)
			values[j] = values[j - 1];
		values[j] = value;
	}
	return (values[ROUNDS / 2 - 1] + values[ROUNDS / 2]) / 2;
}

static uint64_t measure(void (*set)(unsigned int round), uint64_t (*time)(void))
{
	uint64_t ticks[ROUNDS];

	for (unsigned int i = 0; i < WARM_UP + ROUNDS; i++) {
		set(i);
		ticks[i % ROUNDS] = time(); /* the rounds of the warm-up are overwritten */
	}
	return median(ticks);
}

static void measure_figure(const struct figure *figure)
{
	uint64_t empty = measure(figure->set, time_nothing);
	uint64_t ticks = measure(figure->set, figure->time);

	print("bench %s %lu\n", figure->name, ticks - empty);
}

/* One request for a page at a time, from its notification until the used ring shows it. */
static void measure_disk(void)
{
	uint64_t ticks[ROUNDS];

	disk_start();
	for (unsigned int i = 0; i < WARM_UP + ROUNDS; i++) {
		uint64_t start = rdtsc();

		disk_begin(DISK_READ, 0, pages[i % ROUNDS], TIDEPOOL_PAGE_SIZE);
		while (!disk_is_done())
			continue;
		ticks[i % ROUNDS] = rdtsc() - start;
		CHECK_EQ(disk_status(), 0, "reading a page");
	}
	print("bench virtio_read_4k %lu\n", median(ticks));
}

void test_main(void)
{
	int64_t id;

	tidepool_require();
	amd = cpu_is_amd();
	for (size_t i = 0; i < sizeof(pages); i += sizeof(uint64_t))
		*(uint64_t *)((uint8_t *)pages + i) = test_random();
	id = pool_new(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION);
	if (id < 0) {
		test_error("no pool: %ld", id);
		return;
	}
	pool = (uint64_t)id;
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		measure_figure(&figures[i]);
	if (disk_is_there())
		measure_disk();
	CHECK_EQ(query(TIDEPOOL_QUERY_PUTS), 2 * (WARM_UP + ROUNDS), "pages that were put");
	CHECK_EQ(query(TIDEPOOL_QUERY_GETS), WARM_UP + ROUNDS, "pages that were got");
}

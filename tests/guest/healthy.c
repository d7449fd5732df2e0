/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The neighbour of a hostile guest: looks again and again whether all that it has is as it left it
 * (memory, pages in the store, registers of every kind), and whether time and its timer go on.
 * "rounds=" says how often.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/test.h"

#define ROUNDS_DEFAULT 20
#define ROUND_TICKS    20000000ull
#define WORDS	       (TIDEPOOL_PAGE_SIZE / sizeof(uint64_t))
#define RAM_WORDS      (32 * WORDS)
#define STORED	       16
#define VECTOR_TIMER   0x40
#define TIMER_TICKS    1000000u
#define SPURIOUS       0xff

const char test_name[] = "healthy";

static const struct {
	uint32_t msr;
	uint64_t value;
} msrs[] = {
	{0xc0000081, 0x0023001000000000}, /* STAR */
	{0xc0000082, 0x0000111122223333}, /* LSTAR */
	{0xc0000083, 0x0000444455556666}, /* CSTAR */
	{0xc0000084, 0x00047700},	  /* SFMASK */
	{0xc0000100, 0x0000123456789000}, /* FS base */
	{0xc0000101, 0x0000223456789000}, /* GS base */
	{0xc0000102, 0x0000323456789000}, /* kernel GS base */
	{0x174, 0x10},			  /* SYSENTER_CS */
	{0x175, 0x0000523456789000},	  /* SYSENTER_ESP */
	{0x176, 0x0000623456789000},	  /* SYSENTER_EIP */
	{0x277, 0x0007040600070406},	  /* PAT */
};
#define MSR_COUNT (sizeof(msrs) / sizeof(msrs[0]))

static uint64_t ram[RAM_WORDS], page[WORDS] __attribute__((aligned(TIDEPOOL_PAGE_SIZE)));
static uint64_t cr0, cr4, pool;
static volatile uint64_t timer_count;

static uint64_t word_of(uint64_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15;
}

static void on_timer(void)
{
	timer_count++;
	apic_write(APIC_EOI, 0);
}

static struct page_key key_of(uint64_t i)
{
	return (struct page_key){{1, 2, 3}, i};
}

static void fill_page(uint64_t number)
{
	for (uint64_t i = 0; i < WORDS; i++)
		page[i] = word_of(number * WORDS + i);
}

#define READ_REGISTER(name)                                                                        \
	({                                                                                         \
		uint64_t value_;                                                                   \
                                                                                                   \
		__asm__ volatile("movq %%" name ", %0" : "=r"(value_));                            \
		value_;                                                                            \
	})
#define WRITE_REGISTER(name, value) __asm__ volatile("movq %0, %%" name : : "r"((uint64_t)(value)))

static void set_up(void)
{
	int64_t id = pool_new(TIDEPOOL_POOL_PERSISTENT | TIDEPOOL_POOL_VERSION);

	if (id < 0) {
		test_error("no pool: %ld", id);
		test_finish();
	}
	pool = (uint64_t)id;
	for (uint64_t i = 0; i < STORED; i++) {
		struct page_key key = key_of(i);

		fill_page(i);
		CHECK_EQ(page_put(pool, &key, page), 0, "put");
	}
	for (uint64_t i = 0; i < RAM_WORDS; i++)
		ram[i] = word_of(i);
	for (size_t i = 0; i < MSR_COUNT; i++)
		CHECK_EQ(wrmsr_safe(msrs[i].msr, msrs[i].value), NO_VECTOR, "an MSR");
	WRITE_REGISTER("dr0", 0x1111);
	WRITE_REGISTER("dr1", 0x2222);
	WRITE_REGISTER("dr2", 0x3333);
	WRITE_REGISTER("dr3", 0x4444);
	WRITE_REGISTER("cr2", 0x5555);
	cr0 = READ_REGISTER("cr0");
	cr4 = READ_REGISTER("cr4");

	trap_set_handler(VECTOR_TIMER, on_timer);
	apic_use_x2apic();
	apic_write(APIC_SVR, APIC_SVR_ENABLE | SPURIOUS);
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, APIC_TIMER_PERIODIC | VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL, TIMER_TICKS);
}

/* Computes for a while with all general registers in use. Returns whether they kept their values.
 */
static bool registers_keep(void)
{
	uint64_t sum, rounds = 200000;

	__asm__ volatile("pushq %%rbp\n"
			 "movabsq $0x0101010101010101, %%rax\n"
			 "leaq 1(%%rax), %%rbx\n"
			 "leaq 2(%%rax), %%rdx\n"
			 "leaq 3(%%rax), %%rsi\n"
			 "leaq 4(%%rax), %%rdi\n"
			 "leaq 5(%%rax), %%rbp\n"
			 "leaq 6(%%rax), %%r8\n"
			 "leaq 7(%%rax), %%r9\n"
			 "leaq 8(%%rax), %%r10\n"
			 "leaq 9(%%rax), %%r11\n"
			 "leaq 10(%%rax), %%r12\n"
			 "leaq 11(%%rax), %%r13\n"
			 "leaq 12(%%rax), %%r14\n"
			 "leaq 13(%%rax), %%r15\n"
			 "1: decq %%rcx\n"
			 "jnz 1b\n"
			 "xorq %%rbx, %%rax\n"
			 "xorq %%rdx, %%rax\n"
			 "xorq %%rsi, %%rax\n"
			 "xorq %%rdi, %%rax\n"
			 "xorq %%rbp, %%rax\n"
			 "xorq %%r8, %%rax\n"
			 "xorq %%r9, %%rax\n"
			 "xorq %%r10, %%rax\n"
			 "xorq %%r11, %%rax\n"
			 "xorq %%r12, %%rax\n"
			 "xorq %%r13, %%rax\n"
			 "xorq %%r14, %%rax\n"
			 "xorq %%r15, %%rax\n"
			 "popq %%rbp\n"
			 : "=a"(sum), "+c"(rounds)
			 :
			 : "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "memory", "cc");
	return sum == (1 ^ 2 ^ 3 ^ 4 ^ 5 ^ 6 ^ 7 ^ 8 ^ 9 ^ 10 ^ 11 ^ 12 ^ 13 ^ 14);
}

static void check_registers(void)
{
	uint64_t value;

	CHECK(registers_keep(), "a general register has changed");
	for (size_t i = 0; i < MSR_COUNT; i++) {
		CHECK_EQ(rdmsr_safe(msrs[i].msr, &value), NO_VECTOR, "an MSR");
		if (value != msrs[i].value)
			test_failure("MSR 0x%x is 0x%lx", msrs[i].msr, value);
	}
	CHECK_EQ(READ_REGISTER("dr0"), 0x1111, "DR0");
	CHECK_EQ(READ_REGISTER("dr1"), 0x2222, "DR1");
	CHECK_EQ(READ_REGISTER("dr2"), 0x3333, "DR2");
	CHECK_EQ(READ_REGISTER("dr3"), 0x4444, "DR3");
	CHECK_EQ(READ_REGISTER("cr2"), 0x5555, "CR2");
	CHECK_EQ(READ_REGISTER("cr0"), cr0, "CR0");
	CHECK_EQ(READ_REGISTER("cr4"), cr4, "CR4");
}

static void check_data(void)
{
	unsigned int changed = 0;

	for (uint64_t i = 0; i < RAM_WORDS; i++)
		changed += ram[i] != word_of(i);
	CHECK(!changed, "%u words of memory have changed", changed);
	for (uint64_t i = 0; i < STORED; i++) {
		struct page_key key = key_of(i);

		CHECK_EQ(page_get(pool, &key, page), 0, "get");
		changed = 0;
		for (uint64_t word = 0; word < WORDS; word++)
			changed += page[word] != word_of(i * WORDS + word);
		CHECK(!changed, "%u words of a stored page have changed", changed);
	}
}

void test_main(void)
{
	uint64_t rounds = cmdline_number("rounds=", ROUNDS_DEFAULT);
	uint64_t start, last, now, timers;

	tidepool_require();
	set_up();
	for (uint64_t round = 0; round < rounds; round++) {
		start = now = rdtsc();
		timers = timer_count;
		irq_enable();
		while (now - start < ROUND_TICKS) {
			check_registers();
			last = now;
			now = rdtsc();
			CHECK(now > last, "the TSC went back");
		}
		irq_disable();
		CHECK(timer_count > timers, "no timer interrupt in round %lu", round);
		check_data();
	}
	print("healthy: %lu rounds\n", rounds);
}

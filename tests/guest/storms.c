/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile: its second vCPU does one thing for ever that should leave nobody else any time (endless
 * exceptions, interrupts to itself and to all, every kind of exit, interrupts off); after "ticks="
 * the first one starts it anew for the next. That the first one gets its turns on the same CPU, and
 * that INIT ends whatever the second one does, is what this guest checks; its neighbours check the
 * rest. At last INIT and start-up themselves come in a storm.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/hypercall.h"
#include "tests/guest/lib/modes.h"
#include "tests/guest/lib/selectors.h"
#include "tests/guest/lib/smp.h"
#include "tests/guest/lib/test.h"

#define OTHER_ID	1u
#define ABSENT_ID	7u
#define TICKS_DEFAULT	20000000ull
#define TICKS_TO_WAIT	40000000000ull
#define STARTS		2000u
#define VECTOR_STORM	0x41
#define VECTOR_TIMER	0x42
#define VECTOR_SPURIOUS 0xff
#define HOLE_ADDRESS	0xd8000000ull
#define FREE_PORT	0x80
#define MSR_APIC	0x1b
#define MSR_ICR		0x830
#define VECTOR_DB	1
#define DR7_WRITES	0x90402ull /* breakpoint 0: global, writes, 8 bytes */
#define LOOP_PAGE	0x40u	   /* the first of some pages below 1 MiB that nothing is in */
#define LOOP_PAGES	16u
#define PAGE_SHIFT	12
#define JMP_SELF	0xfeebu /* two bytes of code */

#define ICR_ALL	     (2u << 18)
#define ICR_OTHERS   (3u << 18)
#define ICR_LOWEST   (1u << 8)
#define ICR_SMI	     (2u << 8)
#define ICR_RESERVED (3u << 8)
#define ICR_EXTINT   (7u << 8)
#define ICR_LOGICAL  (1u << 11)

const char test_name[] = "storms";

static volatile uint64_t begun; /* acts that the second vCPU has started */
static volatile uint64_t storm_count;

static void on_storm(void)
{
	storm_count++;
	apic_write(APIC_EOI, 0);
}

static void prepare(void)
{
	apic_use_x2apic();
	apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	begun++;
}

/* ---- endless exceptions ---- */

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, attr;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static struct gate own_idt[32];
static uint64_t own_gdt[SELECTOR_TSS / 8 + 2];
static uint8_t own_tss[0x68] __attribute__((aligned(16)));
static uint64_t own_stack[64] __attribute__((aligned(16)));

extern uint64_t gdt[];
extern const uint8_t storms_iret[], storms_spin[];

/* Handlers: one goes back to the instruction that faulted, one waits for what comes. */
__asm__(".pushsection .text\n"
	"storms_iret: iretq\n"
	"storms_spin: jmp storms_spin\n"
	".popsection\n");

static void set_own_gate(unsigned int vector, const uint8_t *handler, uint8_t ist)
{
	uint64_t address = (uint64_t)handler;

	own_idt[vector] = (struct gate){
		.offset_low = (uint16_t)address,
		.selector = SELECTOR_CODE,
		.ist = ist,
		.attr = 0x8e,
		.offset_mid = (uint16_t)(address >> 16),
		.offset_high = (uint32_t)(address >> 32),
	};
}

/* A table of its own, with a stack of its own for who asks for it: the other vCPU keeps its own. */
static void load_own_tables(void)
{
	struct table_pointer idt = {sizeof(own_idt) - 1, (uint64_t)own_idt};
	struct table_pointer table = {sizeof(own_gdt) - 1, (uint64_t)own_gdt};
	uint64_t base = (uint64_t)own_tss, top = (uint64_t)(own_stack + 64);

	memcpy(own_gdt, gdt, SELECTOR_TSS);
	own_gdt[SELECTOR_TSS / 8] = (sizeof(own_tss) - 1) | (base & 0xffffff) << 16 |
				    0x89ull << 40 | (base >> 24 & 0xff) << 56;
	own_gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
	memcpy(own_tss + 0x24, &top, sizeof(top)); /* the first of the interrupt stack table */
	__asm__ volatile("lgdt %0" : : "m"(table));
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
	__asm__ volatile("lidt %0" : : "m"(idt));
}

/*
 * CVE-2015-8104: delivering #DB writes to its stack, which is a breakpoint, which raises #DB. The
 * stack is the same each time.
 */
static void act_debug(void)
{
	prepare();
	set_own_gate(VECTOR_DB, storms_spin, 1);
	load_own_tables();
	__asm__ volatile("movq %0, %%dr0" : : "r"(own_stack + 63));
	__asm__ volatile("movq %0, %%dr7" : : "r"(DR7_WRITES));
	*(volatile uint64_t *)(own_stack + 63) = 1;
	for (;;)
		continue;
}

/* CVE-2015-5307. QEMU's emulation has no #AC: there it is a loop in ring 3. */
static void act_alignment(void)
{
	prepare();
	modes_alignment_storm();
}

static void act_undefined(void)
{
	prepare();
	set_own_gate(VECTOR_UD, storms_iret, 0);
	load_own_tables();
	__asm__ volatile("ud2");
}

/* Each instruction is a trap, in shadows and out of them. */
static void act_single_step(void)
{
	prepare();
	set_own_gate(VECTOR_DB, storms_iret, 0);
	load_own_tables();
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq\n"
			 "movl %%ss, %%r8d\n"
			 "1: movl %%r8d, %%ss\n"
			 "cpuid\n"
			 "sti\n"
			 "cpuid\n"
			 "cli\n"
			 ".byte 0xf1\n" /* INT1 */
			 "movl %%r8d, %%ss\n"
			 ".byte 0xf1\n"
			 "jmp 1b\n"
			 :
			 :
			 : "rax", "rbx", "rcx", "rdx", "r8", "memory");
}

/* ---- interrupts ---- */

static void act_self(void)
{
	prepare();
	irq_enable();
	for (;;)
		apic_send_self(VECTOR_STORM);
}

static void act_broadcast(void)
{
	static const uint32_t commands[] = {
		ICR_ALL | VECTOR_STORM,
		ICR_OTHERS | VECTOR_STORM,
		ICR_ALL | ICR_LOWEST | VECTOR_STORM,
		ICR_ALL | ICR_SMI,
		ICR_ALL | ICR_RESERVED,
		ICR_ALL | ICR_EXTINT,
		ICR_OTHERS | ICR_LOWEST | VECTOR_STORM,
		ICR_ALL | VECTOR_STORM | APIC_LVT_MASKED,
		ICR_ALL | 5,
		ICR_LOGICAL | VECTOR_STORM,
	};

	prepare();
	irq_enable();
	for (unsigned int i = 0;; i++) /* some are refused */
		wrmsr_safe(MSR_ICR, (i % 5 ? (uint64_t)UINT32_MAX << 32 : 0) |
					    commands[i % (sizeof(commands) / 4)]);
}

/* The shortest period there is, and deadlines that are over. */
static void act_timer(void)
{
	prepare();
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, APIC_TIMER_PERIODIC | VECTOR_TIMER);
	apic_write(APIC_TIMER_INITIAL, 1);
	irq_enable();
	for (;;)
		__asm__ volatile("hlt");
}

static void act_deadline(void)
{
	prepare();
	apic_write(APIC_LVT_TIMER, APIC_TIMER_TSC_DEADLINE | VECTOR_TIMER);
	irq_enable();
	for (;;)
		wrmsr_safe(MSR_TSC_DEADLINE, 1);
}

/* Asks for interrupts, and never takes them. */
static void act_never_ready(void)
{
	prepare();
	apic_send_self(VECTOR_STORM);
	for (;;) {
		apic_write(APIC_TPR, 0xf0);
		__asm__ volatile("sti; cli");
		apic_write(APIC_TPR, 0);
		apic_write(APIC_EOI, 0);
	}
}

/* ---- exits ---- */

static void act_exits(void)
{
	uint64_t value;

	prepare();
	for (;;) {
		cpuid(0xd, 0);
		rdmsr_safe(MSR_APIC, &value);
		wrmsr_safe(MSR_APIC, UINT64_MAX);
		out8(FREE_PORT, 0);
		mmio_write32(HOLE_ADDRESS, mmio_read32(HOLE_ADDRESS));
		__asm__ volatile("wbinvd; invd; pause" : : : "memory");
		trap_vector = NO_VECTOR;
		__asm__ volatile(FIXUP("xsetbv") : : "c"(0), "a"(0), "d"(0) : "memory");
		__asm__ volatile(FIXUP("rdpmc") : : "c"(0) : "rax", "rdx");
		__asm__ volatile(FIXUP("mwait") : : "a"(0), "c"(0));
		hypercall(test_random(), test_random(), 0, 0, 0, 0, 0);
	}
}

/* String I/O without end: to and from RAM, and where none is. */
static void act_strings(void)
{
	static uint8_t buffer[8192];

	prepare();
	for (unsigned int i = 0;; i++) {
		const uint64_t places[] = {(uint64_t)buffer + 1, HOLE_ADDRESS, ram_bytes() - 3};
		uint64_t from = places[i % 3], to = from;
		uint64_t out = i % 3 ? 16 : sizeof(buffer) / 4 - 1, in = out;

		__asm__ volatile("rep outsl" : "+S"(from), "+c"(out) : "d"(FREE_PORT) : "memory");
		__asm__ volatile("rep insl" : "+D"(to), "+c"(in) : "d"(FREE_PORT) : "memory");
	}
}

static void act_tlb(void)
{
	prepare();
	for (;;)
		__asm__ volatile("movq %%cr3, %%rax; movq %%rax, %%cr3; invlpg (%%rax)\n"
				 "movq %%cr4, %%rax; xorq $0x80, %%rax; movq %%rax, %%cr4\n"
				 "movq %%cr0, %%rax; xorq $0x10000, %%rax; movq %%rax, %%cr0\n"
				 "clts; smsw %%ax; lmsw %%ax\n"
				 :
				 :
				 : "rax", "memory");
}

static void act_pause(void)
{
	prepare();
	for (;;)
		__asm__ volatile("pause");
}

static void act_interrupts_off(void)
{
	prepare();
	for (;;)
		continue;
}

static void act_halt_off(void)
{
	prepare();
	__asm__ volatile("cli; hlt");
}

static const struct {
	const char *name;
	void (*act)(void);
	const char *without; /* the word that leaves it out */
} acts[] = {
	{"debug", act_debug, "no-debug"},
	{"alignment", act_alignment, NULL},
	{"undefined", act_undefined, NULL},
	{"single-step", act_single_step, NULL},
	{"self", act_self, NULL},
	{"broadcast", act_broadcast, NULL},
	{"timer", act_timer, NULL},
	{"deadline", act_deadline, NULL},
	{"never-ready", act_never_ready, NULL},
	{"exits", act_exits, NULL},
	{"strings", act_strings, NULL},
	{"tlb", act_tlb, NULL},
	{"pause", act_pause, NULL},
	{"interrupts-off", act_interrupts_off, NULL},
	{"halt-off", act_halt_off, NULL},
};

static void compute(uint64_t ticks)
{
	uint64_t start = rdtsc();

	while (rdtsc() - start < ticks)
		irq_window();
}

static bool wait_begun(uint64_t value)
{
	uint64_t start = rdtsc();

	while (begun < value)
		if (rdtsc() - start > TICKS_TO_WAIT)
			return false;
	return true;
}

/* The second vCPU is anywhere in its start, or not started, when the next one comes. */
static void storm_starts(void)
{
	for (uint64_t i = 0; i < LOOP_PAGES; i++)
		*(volatile uint16_t *)((LOOP_PAGE + i) << PAGE_SHIFT) = JMP_SELF;
	for (unsigned int i = 0; i < STARTS; i++) {
		apic_send(OTHER_ID, APIC_ICR_INIT);
		if (i % 3)
			apic_send(OTHER_ID, APIC_ICR_STARTUP | smp_start_page());
		if (i % 5 == 0)
			apic_send(OTHER_ID, APIC_ICR_STARTUP | (LOOP_PAGE + i % LOOP_PAGES));
		apic_send(ABSENT_ID, i % 2 ? APIC_ICR_INIT : APIC_ICR_STARTUP);
	}
}

void test_main(void)
{
	uint64_t ticks = cmdline_number("ticks=", TICKS_DEFAULT);
	uint64_t expected = 0;

	tidepool_require();
	trap_set_handler(VECTOR_STORM, on_storm);
	trap_set_handler(VECTOR_TIMER, on_storm);
	apic_use_x2apic();
	apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (acts[i].without && cmdline_has(acts[i].without))
			continue;
		print("storms: %s\n", acts[i].name);
		smp_start(OTHER_ID, acts[i].act);
		if (!wait_begun(++expected)) {
			test_failure("%s: the other vCPU does not start", acts[i].name);
			return;
		}
		compute(ticks);
	}
	storm_starts();
	begun = 0;
	smp_start(OTHER_ID, act_pause);
	CHECK(wait_begun(1), "the other vCPU does not start after the storm");
	print("storms: %lu interrupts\n", storm_count);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Documents: SDM vol. 3A, chapter 11 (10 in older editions); APM vol. 2, chapter 16
 */
#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/cpu/trap.h"
#include "arch/x86_64/cpu/tsc.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/time.h"

/* Offsets of the memory-mapped registers; in x2APIC mode, 16 of them are one MSR. */
enum {
	REG_ID = 0x020,
	REG_VERSION = 0x030,
	REG_TPR = 0x080,
	REG_EOI = 0x0b0,
	REG_SPURIOUS = 0x0f0,
	REG_IN_SERVICE = 0x100, /* 256 bits, in words 16 bytes apart */
	REG_ICR = 0x300,
	REG_ICR_HIGH = 0x310, /* xAPIC mode only */
	REG_LVT_TIMER = 0x320,
	REG_LVT_THERMAL = 0x330,
	REG_LVT_PERFORMANCE = 0x340,
	REG_LVT_LINT0 = 0x350,
	REG_LVT_LINT1 = 0x360,
	REG_LVT_ERROR = 0x370,
	REG_TIMER_INITIAL = 0x380,
	REG_TIMER_CURRENT = 0x390,
	REG_TIMER_DIVIDE = 0x3e0,
};

#define SPURIOUS_APIC_ENABLE 0x100u
#define LVT_MASKED	     0x10000u
#define LVT_NMI		     0x400u
#define LVT_TSC_DEADLINE     0x40000u
#define TIMER_DIVIDE_BY_1    0xbu
#define VERSION_MAX_LVT(v)   ((v) >> 16 & 0xff)
#define MAX_LVT_PERFORMANCE  4u /* the lowest number with which the register exists */
#define MAX_LVT_THERMAL	     5u

#define ICR_INIT	  0x500u
#define ICR_STARTUP	  0x600u
#define ICR_NMI		  0x400u
#define ICR_PENDING	  0x1000u
#define ICR_ASSERT	  0x4000u
#define ICR_ALL_BUT_SELF  0xc0000u
#define XAPIC_ID_SHIFT	  24
#define XAPIC_ID_MAX	  0xfeu /* 0xff addresses all */
#define ICR_SPIN_MAX	  1000000u
#define CALIBRATION_USEC  10000u
#define TIMER_RATIO_SHIFT 32

static bool ready, x2apic, tsc_deadline;
static volatile char *registers; /* xAPIC mode */
static uint64_t timer_ratio;	 /* timer ticks a TSC tick, << TIMER_RATIO_SHIFT */

static uint32_t reg_read(uint32_t reg)
{
	if (x2apic)
		return (uint32_t)rdmsr(MSR_X2APIC_BASE + reg / 16);
	return mmio_read32(registers + reg);
}

static void reg_write(uint32_t reg, uint32_t value)
{
	if (x2apic)
		wrmsr(MSR_X2APIC_BASE + reg / 16, value);
	else
		mmio_write32(registers + reg, value);
}

int lapic_init(void)
{
	if (!(cpuid_edx(1, 0) & CPUID_1_EDX_APIC)) {
		printk("tidepool: this CPU has no local APIC, or the firmware has switched it "
		       "off; Tidepool needs one\n");
		return -ENODEV;
	}
	x2apic = cpuid_ecx(1, 0) & CPUID_1_ECX_X2APIC;
	if (!x2apic) {
		registers = paging_map_mmio(rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS, PAGE_SIZE);
		if (!registers)
			return trace_error(-ENOMEM);
	}
	lapic_init_cpu();
	ready = true;
	return 0;
}

/* What firmware left in service would block everything of its priority and below. */
static void end_left_over_interrupts(void)
{
	for (uint32_t word = 0; word < VECTOR_COUNT / 32; word++)
		for (uint32_t bits = reg_read(REG_IN_SERVICE + word * 16); bits; bits &= bits - 1)
			lapic_eoi();
}

void lapic_init_cpu(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);
	uint32_t max_lvt;

	/* From off to x2APIC the way leads through xAPIC (SDM, figure "Local APIC states"). */
	if (!(base & APIC_BASE_ENABLE)) {
		base |= APIC_BASE_ENABLE;
		wrmsr(MSR_APIC_BASE, base);
	}
	if (x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);

	reg_write(REG_SPURIOUS, SPURIOUS_APIC_ENABLE | VECTOR_SPURIOUS);
	reg_write(REG_TPR, 0);
	max_lvt = VERSION_MAX_LVT(reg_read(REG_VERSION));
	reg_write(REG_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	if (max_lvt >= MAX_LVT_PERFORMANCE)
		reg_write(REG_LVT_PERFORMANCE, LVT_MASKED);
	if (max_lvt >= MAX_LVT_THERMAL)
		reg_write(REG_LVT_THERMAL, LVT_MASKED);
	reg_write(REG_LVT_LINT0, LVT_MASKED); /* the old interrupt controllers */
	reg_write(REG_LVT_LINT1, LVT_NMI);
	reg_write(REG_LVT_ERROR, LVT_MASKED);
	reg_write(REG_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
	reg_write(REG_TIMER_INITIAL, 0);
	reg_write(REG_LVT_TIMER, VECTOR_TIMER | (tsc_deadline ? LVT_TSC_DEADLINE : 0));
	/* An xAPIC register write may be overtaken by the WRMSR that arms the deadline (SDM). */
	if (tsc_deadline)
		__asm__ volatile("mfence" : : : "memory");
	end_left_over_interrupts();
}

uint32_t lapic_id(void)
{
	uint32_t id = reg_read(REG_ID);

	return x2apic ? id : id >> XAPIC_ID_SHIFT;
}

bool lapic_id_reachable(uint32_t apic_id)
{
	return x2apic || apic_id <= XAPIC_ID_MAX;
}

void lapic_eoi(void)
{
	reg_write(REG_EOI, 0);
}

static void send(uint32_t apic_id, uint32_t command)
{
	/*
	 * An x2APIC write is neither ordered behind earlier stores nor waited for; the receiver
	 * must see what was stored for it (SDM vol. 3A, "MSR Access in x2APIC Mode").
	 */
	if (x2apic) {
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | command);
		return;
	}
	for (uint32_t spins = ICR_SPIN_MAX; reg_read(REG_ICR) & ICR_PENDING && spins; spins--)
		cpu_pause();
	reg_write(REG_ICR_HIGH, apic_id << XAPIC_ID_SHIFT);
	reg_write(REG_ICR, command);
}

void lapic_send(uint32_t apic_id, uint8_t vector)
{
	send(apic_id, ICR_ASSERT | vector);
}

void lapic_send_init(uint32_t apic_id)
{
	send(apic_id, ICR_ASSERT | ICR_INIT);
}

void lapic_send_startup(uint32_t apic_id, hpa_t page)
{
	send(apic_id, ICR_ASSERT | ICR_STARTUP | (uint32_t)(page >> PAGE_SHIFT));
}

void lapic_send_nmi_to_others(void)
{
	if (ready)
		send(0, ICR_ASSERT | ICR_NMI | ICR_ALL_BUT_SELF);
}

void lapic_init_timer(void)
{
	uint64_t start, ticks;

	tsc_deadline = cpuid_ecx(1, 0) & CPUID_1_ECX_TSC_DEADLINE;
	if (tsc_deadline)
		return;
	reg_write(REG_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	start = rdtsc_ordered();
	reg_write(REG_TIMER_INITIAL, UINT32_MAX);
	tsc_wait_usec(CALIBRATION_USEC);
	ticks = UINT32_MAX - reg_read(REG_TIMER_CURRENT);
	timer_ratio = (ticks << TIMER_RATIO_SHIFT) / (rdtsc_ordered() - start);
	reg_write(REG_TIMER_INITIAL, 0);
}

/* One-shot mode: the counter has 32 bits, so a far deadline takes more than one round. */
static void start_countdown(uint64_t tsc)
{
	uint64_t now = rdtsc();
	unsigned __int128 ticks = 1; /* 0 would mean never */

	if (tsc > now)
		ticks += (unsigned __int128)(tsc - now) * timer_ratio >> TIMER_RATIO_SHIFT;
	reg_write(REG_TIMER_INITIAL, ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks);
}

void lapic_set_timer(uint64_t tsc)
{
	this_cpu()->timer_deadline = tsc;
	if (tsc_deadline)
		/* 0 disarms. */
		wrmsr(MSR_TSC_DEADLINE, tsc == TIME_NEVER ? 0 : tsc);
	else if (tsc == TIME_NEVER)
		reg_write(REG_TIMER_INITIAL, 0);
	else
		start_countdown(tsc);
}

bool lapic_timer_expired(void)
{
	uint64_t deadline = this_cpu()->timer_deadline;

	if (tsc_deadline || deadline == TIME_NEVER || rdtsc() >= deadline)
		return true;
	start_countdown(deadline);
	return false;
}

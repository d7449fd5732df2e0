/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Documents: SDM vol. 3B, "Time-Stamp Counter" and "Determining the Processor Base Frequency";
 * ACPI 6.5, section 4.8.3.3; Intel 8254 data sheet
 */
#include "arch/x86_64/cpu/tsc.h"
#include "arch/x86_64/cpu/acpi.h"
#include "arch/x86_64/cpu/cpu.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/time.h"

#define SAMPLES		  8u	     /* readings of which the best counts */
#define DEAD_CLOCK_TICKS  (1u << 26) /* TSC ticks in which any reference clock moves */
#define TOLERANCE_PERCENT 1u
#define KHZ_MIN		  50000u /* what is outside is a mistake, not a CPU */
#define KHZ_MAX		  20000000u

#define PM_TIMER_HZ 3579545u

#define PIT_HZ		   1193182u
#define PIT_CHANNEL2	   0x42
#define PIT_COMMAND	   0x43
#define PIT_CHANNEL2_RATE  0xb4 /* channel 2, both bytes, mode 2: counts down for ever */
#define PIT_LATCH_CHANNEL2 0x80
#define SPEAKER_PORT	   0x61
#define SPEAKER_GATE	   0x01
#define SPEAKER_DATA	   0x02

/* A counter of known frequency that counts upwards and wraps. */
struct reference {
	const char *name;
	uint32_t hz;
	uint32_t mask;
	uint32_t msec; /* to measure for: far less than it takes to wrap */
	uint32_t (*read)(void);
};

/* One instant by both clocks. */
struct instant {
	uint64_t tsc;
	uint32_t ticks;
};

static uint16_t pm_timer_port;

static uint32_t read_pm_timer(void)
{
	return port_read32(pm_timer_port);
}

static void start_pit(void)
{
	port_write8(SPEAKER_PORT,
		    (uint8_t)((port_read8(SPEAKER_PORT) & ~SPEAKER_DATA) | SPEAKER_GATE));
	port_write8(PIT_COMMAND, PIT_CHANNEL2_RATE);
	port_write8(PIT_CHANNEL2, 0); /* 65536 */
	port_write8(PIT_CHANNEL2, 0);
}

static uint32_t read_pit(void)
{
	uint32_t low, high;

	port_write8(PIT_COMMAND, PIT_LATCH_CHANNEL2);
	low = port_read8(PIT_CHANNEL2);
	high = port_read8(PIT_CHANNEL2);
	return 0u - (high << 8 | low);
}

/*
 * The TSC when the reference moves on: a tick of the ACPI timer is 0.3 us, of which a whole one at
 * either end would be 11 ms a day, and emulators count some at once. Under an emulator, or with a
 * busy SMI handler, much may happen between two instructions, so the quickest of some tries is
 * taken. Context: the reference moves.
 */
static struct instant read_edge(const struct reference *ref)
{
	uint64_t best = UINT64_MAX;
	struct instant instant = {0, 0};
	uint32_t ticks = ref->read();

	for (unsigned int i = 0; i < SAMPLES; i++) {
		uint64_t before, after;
		uint32_t last;

		do {
			last = ticks;
			before = rdtsc_ordered();
			ticks = ref->read();
			after = rdtsc_ordered();
		} while (ticks == last);
		if (after - before < best) {
			best = after - before;
			instant = (struct instant){before + best / 2, ticks};
		}
	}
	return instant;
}

/* Returns the TSC's frequency in kHz, 0 when the reference does not move. */
static uint64_t measure(const struct reference *ref)
{
	const uint32_t wanted = ref->hz / 1000 * ref->msec;
	uint64_t first = rdtsc(), hz;
	uint32_t ticks = ref->read();
	struct instant start, end;

	while (((ref->read() - ticks) & ref->mask) == 0)
		if (rdtsc() - first > DEAD_CLOCK_TICKS)
			return 0;
	start = read_edge(ref);
	do {
		end = read_edge(ref);
		ticks = (end.ticks - start.ticks) & ref->mask;
	} while (ticks < wanted);
	hz = (end.tsc - start.tsc) * ref->hz / ticks;
	return (hz + 500) / 1000;
}

/* Returns what CPUID calls the TSC's frequency, in kHz; 0 when it does not say. */
static uint64_t told_by_cpuid(void)
{
	struct cpuid_regs r;

	if (cpuid_eax(0, 0) < 0x15)
		return 0;
	r = cpuid(0x15, 0); /* ratio EBX / EAX of TSC to crystal; ECX: the crystal's Hz */
	if (r.eax && r.ebx && r.ecx)
		return (uint64_t)r.ecx * r.ebx / r.eax / 1000;
	if (cpuid_eax(0, 0) < 0x16)
		return 0;
	return (uint64_t)(cpuid_eax(0x16, 0) & 0xffff) * 1000; /* base MHz */
}

static bool plausible(uint64_t khz)
{
	return khz >= KHZ_MIN && khz <= KHZ_MAX;
}

static bool agree(uint64_t a, uint64_t b)
{
	uint64_t difference = a > b ? a - b : b - a;

	return difference * 100 <= a * TOLERANCE_PERCENT;
}

int tsc_init(const struct acpi_info *acpi)
{
	const struct reference pm_timer = {
		.name = "ACPI timer",
		.hz = PM_TIMER_HZ,
		.mask = acpi->pm_timer_is_32_bit ? UINT32_MAX : 0xffffff,
		.msec = 50,
		.read = read_pm_timer,
	};
	const struct reference pit = {
		.name = "PIT", .hz = PIT_HZ, .mask = 0xffff, .msec = 20, .read = read_pit};
	uint64_t told = told_by_cpuid(), khz = 0;
	const char *source = pm_timer.name;

	if (acpi->pm_timer) {
		pm_timer_port = acpi->pm_timer;
		khz = measure(&pm_timer);
	}
	if (!plausible(khz)) {
		source = pit.name;
		start_pit();
		khz = measure(&pit);
	}
	if (plausible(told) && (!plausible(khz) || agree(khz, told))) {
		source = "CPUID";
		khz = told;
	}
	if (!plausible(khz)) {
		printk("tidepool: no way to measure the time-stamp counter: neither ACPI timer nor "
		       "PIT counts, and CPUID does not tell its frequency\n");
		return -ENODEV;
	}
	tsc_khz = (uint32_t)khz;
	printk("tidepool: TSC at %u.%03u MHz by %s\n", tsc_khz / 1000, tsc_khz % 1000, source);
	if (cpuid_eax(0x80000000, 0) < 0x80000007 ||
	    !(cpuid_edx(0x80000007, 0) & CPUID_80000007_EDX_INVARIANT_TSC))
		printk("tidepool: warning: this CPU does not promise a constant TSC; guests' time "
		       "may drift\n");
	return 0;
}

void tsc_wait_usec(uint64_t usec)
{
	uint64_t end = rdtsc() + time_ns_to_ticks(usec * NSEC_PER_USEC);

	while (rdtsc() < end)
		cpu_pause();
}

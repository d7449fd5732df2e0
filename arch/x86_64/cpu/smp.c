/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting the other CPUs, and interrupting them
 *
 * Documents: SDM vol. 3A, "Multiple-Processor (MP) Initialization"; Intel MultiProcessor
 * Specification 1.4, appendix B.4
 */
#include "arch/x86_64/cpu/smp.h"
#include "arch/x86_64/cpu/acpi.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/memmap.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/cpu/trap.h"
#include "arch/x86_64/cpu/tsc.h"
#include "core/console.h"
#include "core/string.h"

#define INIT_WAIT_USEC	  10000u
#define STARTUP_WAIT_USEC 200u
#define ANSWER_WAIT_USEC  100000u  /* until the CPU runs our code */
#define READY_WAIT_USEC	  5000000u /* until it has initialised itself, messages included */
#define HALT_WAIT_USEC	  10000u
#define POLL_USEC	  10u

/* What the CPU being started has come to. Each CPU but the boot CPU passes through it once. */
enum startup_state {
	STARTUP_SENT,
	STARTUP_ANSWERED, /* it runs on its own stack */
	STARTUP_READY,
	STARTUP_REFUSED,   /* it looked at itself and does not want to */
	STARTUP_ABANDONED, /* too late: it halts as soon as it comes */
};

/* In boot/trampoline.S, copied to the start-up page. */
extern const char trampoline_start[], trampoline_end[], trampoline_args[];

/* The part of the trampoline that is filled in; the same layout there. */
struct trampoline_args {
	uint32_t code_offset; /* far pointer to the 64-bit part, behind the mode switch */
	uint16_t code_selector;
	uint16_t gdt_limit;
	uint32_t gdt_base;
	uint32_t startup_root; /* CR3 for the mode switch */
	uint64_t root;	       /* CR3 afterwards */
	uint64_t stack;	       /* taken, and zeroed, by the CPU that comes first */
	uint64_t entry;
} __attribute__((packed));

extern const char trampoline_64[], trampoline_gdt[], trampoline_gdt_end[];

static hpa_t startup_page; /* below 1 MiB; 0: there is none */
static const struct acpi_info *acpi;
static void (*secondary_entry)(void);
static enum startup_state startup; /* atomic */
static bool halting;		   /* atomic */
static uint32_t halted_count;	   /* atomic; CPUs that obeyed */

static void secondary_start(void) __attribute__((noreturn));

void smp_reserve_startup_page(const struct boot_info *boot)
{
	startup_page = memmap_find_low_page(boot);
}

void smp_init(const struct acpi_info *info)
{
	acpi = info;
}

/* The first C code of another CPU, on its own stack. */
static void secondary_start(void)
{
	enum startup_state expected = STARTUP_SENT;

	if (!__atomic_compare_exchange_n(&startup, &expected, STARTUP_ANSWERED, false,
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		cpu_halt();
	secondary_entry();
	cpu_halt();
}

static uint32_t trampoline_address(const char *label)
{
	return (uint32_t)(startup_page + (uint64_t)(label - trampoline_start));
}

static struct trampoline_args *place_trampoline(void)
{
	struct trampoline_args *args = phys_to_virt(trampoline_address(trampoline_args));

	memcpy(phys_to_virt(startup_page), trampoline_start,
	       (size_t)(trampoline_end - trampoline_start));
	args->code_offset = trampoline_address(trampoline_64);
	args->code_selector = SELECTOR_CODE;
	args->gdt_limit = (uint16_t)(trampoline_gdt_end - trampoline_gdt - 1);
	args->gdt_base = trampoline_address(trampoline_gdt);
	args->startup_root = (uint32_t)paging_startup_root();
	args->root = paging_root();
	args->entry = (uint64_t)secondary_start;
	return args;
}

/* Waits until the state is no longer @state. Returns the state then. */
static enum startup_state wait_while(enum startup_state state, uint64_t usec)
{
	enum startup_state now = __atomic_load_n(&startup, __ATOMIC_ACQUIRE);

	for (uint64_t waited = 0; now == state && waited < usec; waited += POLL_USEC) {
		tsc_wait_usec(POLL_USEC);
		now = __atomic_load_n(&startup, __ATOMIC_ACQUIRE);
	}
	return now;
}

static void send_startup_sequence(uint32_t apic_id)
{
	lapic_send_init(apic_id);
	tsc_wait_usec(INIT_WAIT_USEC);
	/* The second is for CPUs that miss the first; one that runs ignores it. */
	for (int i = 0; i < 2 && __atomic_load_n(&startup, __ATOMIC_ACQUIRE) == STARTUP_SENT; i++) {
		lapic_send_startup(apic_id, startup_page);
		tsc_wait_usec(STARTUP_WAIT_USEC);
	}
}

/* Returns whether the CPU runs and wants to be used. */
static bool start_cpu(struct pcpu *cpu, struct trampoline_args *args)
{
	enum startup_state state;

	args->stack = percpu_stack_top(cpu);
	__atomic_store_n(&startup, STARTUP_SENT, __ATOMIC_RELEASE);
	send_startup_sequence(cpu->apic_id);

	state = wait_while(STARTUP_SENT, ANSWER_WAIT_USEC);
	if (state == STARTUP_SENT &&
	    __atomic_compare_exchange_n(&startup, &state, STARTUP_ABANDONED, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		printk("tidepool: the CPU with APIC id %u does not start; it is left out\n",
		       cpu->apic_id);
		return false;
	}
	state = wait_while(STARTUP_ANSWERED, READY_WAIT_USEC);
	if (state == STARTUP_ANSWERED)
		printk("tidepool: the CPU with APIC id %u started but hangs; it is left out\n",
		       cpu->apic_id);
	if (state == STARTUP_REFUSED)
		printk("tidepool: the CPU with APIC id %u is left out\n", cpu->apic_id);
	return state == STARTUP_READY;
}

uint32_t smp_start_cpus(void (*entry)(void))
{
	struct trampoline_args *args;
	uint32_t left_out = acpi->cpus_left_out;

	if (acpi->cpu_count > 1 && !startup_page)
		printk("tidepool: no free page below 640 KiB to start the other CPUs from\n");
	if (acpi->cpu_count <= 1 || !startup_page)
		return pcpu_count;

	secondary_entry = entry;
	args = place_trampoline();
	for (uint32_t i = 0; i < acpi->cpu_count; i++) {
		struct pcpu *cpu = NULL;

		if (acpi->cpus[i] == pcpus[0]->apic_id)
			continue;
		if (!lapic_id_reachable(acpi->cpus[i])) {
			printk("tidepool: the CPU with APIC id %u is left out: without x2APIC mode no "
			       "interrupt gets there\n",
			       acpi->cpus[i]);
			continue;
		}
		if (pcpu_count < PCPU_MAX)
			cpu = percpu_create(pcpu_count, acpi->cpus[i]);
		if (!cpu) {
			left_out++;
			continue;
		}
		pcpus[pcpu_count] = cpu;
		if (start_cpu(cpu, args))
			pcpu_count++;
		else
			pcpus[pcpu_count] = NULL;
	}
	if (left_out)
		printk("tidepool: %u CPUs are left out: at most %u can be used\n", left_out,
		       PCPU_MAX);
	paging_end_startup();
	return pcpu_count;
}

void smp_cpu_ready(int ok)
{
	__atomic_store_n(&startup, ok ? STARTUP_READY : STARTUP_REFUSED, __ATOMIC_RELEASE);
}

void smp_kick(uint32_t cpu)
{
	lapic_send(pcpus[cpu]->apic_id, VECTOR_KICK);
}

void smp_halt_others(void)
{
	__atomic_store_n(&halting, true, __ATOMIC_RELEASE);
	lapic_send_nmi_to_others();
	/* They may be printing; a CPU that takes no NMI is not waited for long. */
	for (uint64_t waited = 0; waited < HALT_WAIT_USEC; waited += POLL_USEC) {
		if (__atomic_load_n(&halted_count, __ATOMIC_ACQUIRE) + 1 >= pcpu_count)
			return;
		tsc_wait_usec(POLL_USEC);
	}
}

void smp_obey_halt(void)
{
	if (!__atomic_load_n(&halting, __ATOMIC_ACQUIRE))
		return;
	__atomic_add_fetch(&halted_count, 1, __ATOMIC_ACQ_REL);
	cpu_halt();
}

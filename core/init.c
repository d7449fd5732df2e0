/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start reading here: what happens from GRUB's hand-over to the first guest instruction, in order.
 */
#include "core/init.h"
#include "arch/x86_64/cpu/mitigations.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/cpu/platform.h"
#include "arch/x86_64/cpu/smp.h"
#include "arch/x86_64/cpu/trap.h"
#include "arch/x86_64/vcpu/policy.h"
#include "arch/x86_64/virt.h"
#include "boot/bootinfo.h"
#include "core/config.h"
#include "core/console.h"
#include "core/frames.h"
#include "core/monitor.h"
#include "core/sched.h"
#include "core/store.h"
#include "core/time.h"
#include "core/vm/vm.h"

/* The boot information is read where GRUB left it; nothing longer than this is believed. */
#define BOOT_INFO_LIMIT (1 * MIB)

static struct boot_info boot;
static struct config config;
static uint64_t handed_over; /* TSC when GRUB had done its part */

static void init_on_own_stack(void) __attribute__((noreturn));

static void report_config_fault(const char *sentence)
{
	printk("tidepool: %s\n", sentence);
}

/* Ends a start that cannot succeed: the reason is on the console already. */
static void __attribute__((noreturn)) give_up(void)
{
	printk("tidepool: cannot go on; halted\n");
	platform_halt();
}

/* What every other CPU runs, once, on its own stack. */
static void init_secondary_cpu(void)
{
	bool usable;

	platform_init_cpu();
	usable = mitigations_init_cpu() == 0 && virt->cpu_check() == 0 &&
		 virt->cpu_enable(this_cpu()) == 0;
	if (usable)
		sched_init_cpu();
	smp_cpu_ready(usable);
	if (!usable)
		platform_halt();
	sched_wait_start(); /* guests are placed once all CPUs are known */
	sched_run();
}

/* Builds a guest; prints why not. It waits for sched_start() on the CPU that it is placed on. */
static void start_guest(const struct guest_config *guest)
{
	struct vm *vm = vm_register(guest);

	if (vm_start(vm) < 0)
		return;
	while (!vm_work(vm))
		continue;
}

void init(uint32_t magic, uint32_t info_address)
{
	const char *why;

	handed_over = time_ticks();
	platform_early_init(); /* from here on a message or a panic can be read */
	printk("tidepool: starting\n");

	if (boot_info_parse(magic, phys_to_virt(info_address), BOOT_INFO_LIMIT, &boot, &why) < 0) {
		printk("tidepool: boot information: %s\n", why);
		give_up();
	}
	boot.info_base = info_address;
	platform_map_memory(&boot);		  /* needs the memory map; W^X from here */
	platform_switch_stack(init_on_own_stack); /* needs page tables: guard pages around it */
}

/*
 * Bochs (2.7) delivers a virtual interrupt that waits whenever an interrupt of the host's comes,
 * with RFLAGS.IF clear as well: a guest then meets its timer inside its own critical sections.
 */
static bool apicv_works(void)
{
	return !platform_is_bochs();
}

static void report_nodes(void)
{
	for (uint32_t node = 0; frames_nodes() > 1 && node < frames_nodes(); node++) {
		uint64_t total, available;
		uint32_t cpus = 0;

		frames_node_bytes(node, &total, &available);
		for (uint32_t i = 0; i < pcpu_count; i++)
			cpus += pcpus[i]->node == node;
		printk("tidepool: node %u: %llu MiB, %u CPU%s\n", node,
		       (unsigned long long)(total / MIB), cpus, cpus == 1 ? "" : "s");
	}
}

static void init_on_own_stack(void)
{
	uint32_t cpus;

	if (platform_init(&boot) < 0) /* ACPI, local APIC, TSC */
		give_up();
	platform_init_cpu();
	config_parse(&boot, &config, report_config_fault);
	trap_set_nmi_panic(config.nmi_panic);
	virt_apicv_off = config.apicv == CONFIG_APICV_OFF ||
			 (config.apicv == CONFIG_APICV_AUTO && !apicv_works());
	mitigations_init(config.mitigations_off); /* backends choose by it how to enter guests */
	if (mitigations_init_cpu() < 0 || virt_select() < 0 || virt->cpu_enable(this_cpu()) < 0)
		give_up();
	policy_init(); /* what guests see of the processor: needs TSC frequency and backend */
	sched_init_cpu();
	cpus = smp_start_cpus(init_secondary_cpu);
	report_nodes();

	vms_set_when_idle(config.when_idle);
	if (store_init() < 0) /* before guests: their accounts are in it */
		give_up();
	store_add_pools(&config);
	if (balloon_init() < 0)
		give_up();
	for (uint32_t i = 0; i < config.guest_count; i++)
		start_guest(&config.guests[i]);

	printk("tidepool: %s, %u CPU%s, %u guest%s, %llu MiB left for the store; started in %llu "
	       "us\n",
	       virt->name, cpus, cpus == 1 ? "" : "s", vms_alive(), vms_alive() == 1 ? "" : "s",
	       (unsigned long long)(frames_free_bytes() / MIB),
	       (unsigned long long)(time_ticks_to_ns(time_ticks() - handed_over) / NSEC_PER_USEC));
	sched_start(); /* releases the other CPUs */
	vms_boot_done();
	monitor_start();
	sched_run();
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/cpu/platform.h"
#include "arch/x86_64/cpu/acpi.h"
#include "arch/x86_64/cpu/cpu.h"
#include "arch/x86_64/cpu/ioapic.h"
#include "arch/x86_64/cpu/lapic.h"
#include "arch/x86_64/cpu/memmap.h"
#include "arch/x86_64/cpu/paging.h"
#include "arch/x86_64/cpu/percpu.h"
#include "arch/x86_64/cpu/power.h"
#include "arch/x86_64/cpu/screen.h"
#include "arch/x86_64/cpu/smp.h"
#include "arch/x86_64/cpu/trap.h"
#include "arch/x86_64/cpu/tsc.h"
#include "arch/x86_64/cpu/serial.h"
#include "arch/x86_64/vcpu/machine_check.h"
#include "boot/bootinfo.h"
#include "core/console.h"
#include "core/errno.h"
#include "core/frames.h"

#define EARLY_MAP_END	    (4 * GIB) /* what boot/entry.S maps */
#define CPUID_1_EBX_APIC_ID 24	      /* shift */
#define RANDOM_TRIES	    10

/* From linker.ld. */
extern const char image_start[], image_end[];

static struct acpi_info acpi;
static struct srat srat;
static bool has_serial;

void platform_early_init(void)
{
	trap_init_early();
	has_serial = serial_init();
	if (has_serial)
		console_set_output(serial_write);
}

/* Without a serial port, messages go to the screen. @early: through the early page tables. */
static void use_screen(const struct boot_framebuffer *fb, bool early)
{
	uint64_t size = (uint64_t)fb->pitch * fb->height;
	void *base = NULL;

	if (has_serial || fb->kind == BOOT_SCREEN_NONE)
		return;
	if (!early)
		base = paging_map_mmio(fb->base, size);
	else if (fb->base < EARLY_MAP_END && size <= EARLY_MAP_END - fb->base)
		base = phys_to_virt(fb->base);
	console_set_output(base && screen_init(fb, base) ? screen_write : NULL);
}

static void __attribute__((noreturn)) give_up_for_memory(void)
{
	printk("tidepool: too little free memory below 4 GiB: the hypervisor itself needs at least "
	       "one aligned block of 2 MiB; halted\n");
	platform_halt();
}

static int add_frames(hpa_t base, uint64_t size)
{
	frames_add(base, size);
	return 0;
}

/* Through the early page tables: a table beyond them is as good as none. */
static const void *map_acpi_early(hpa_t pa, size_t size)
{
	return pa < EARLY_MAP_END && size <= EARLY_MAP_END - pa ? phys_to_virt(pa) : NULL;
}

static void init_nodes(const struct boot_info *boot)
{
	acpi_parse_nodes(boot->rsdp, boot->rsdp_size, map_acpi_early, &srat);
	if (srat.fault)
		printk("tidepool: ACPI table SRAT: %s; all memory counts as one node\n",
		       srat.fault);
	frames_set_nodes(&srat.map);
}

void platform_map_memory(const struct boot_info *boot)
{
	uint64_t image_size = (uint64_t)(image_end - image_start);

	use_screen(&boot->framebuffer, true); /* so that too little memory can be told */
	init_nodes(boot);
	/* First what the early tables reach: the final ones are made of it. */
	memmap_for_each_free(boot, image_load_base, image_size, 0, EARLY_MAP_END, add_frames);
	if (paging_init(boot) < 0)
		give_up_for_memory();
	use_screen(&boot->framebuffer, false);
	memmap_for_each_free(boot, image_load_base, image_size, EARLY_MAP_END, UINT64_MAX,
			     add_frames);
	smp_reserve_startup_page(boot);
}

void platform_switch_stack(void (*next)(void))
{
	struct pcpu *cpu = percpu_create(0, cpuid_ebx(1, 0) >> CPUID_1_EBX_APIC_ID);

	if (!cpu)
		give_up_for_memory();
	pcpus[0] = cpu;
	pcpu_count = 1;
	/* A zero return address ends backtraces. */
	__asm__ volatile("movq %[top], %%rsp\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "pushq $0\n\t"
			 "jmp *%[next]"
			 :
			 : [top] "r"(percpu_stack_top(cpu)), [next] "r"(next)
			 : "memory");
	__builtin_unreachable();
}

/* The tables lie outside of what the memory map calls RAM, so they are mapped one by one. */
static const void *map_acpi(hpa_t pa, size_t size)
{
	return paging_map_mmio(pa, size);
}

int platform_init(const struct boot_info *boot)
{
	int err;

	if (boot->rsdp_size == 0)
		printk("tidepool: the boot loader gave no ACPI tables: one CPU, no power-off\n");
	else if (acpi_parse(boot->rsdp, boot->rsdp_size, map_acpi, &acpi) < 0)
		printk("tidepool: the ACPI tables are damaged: one CPU, no power-off\n");
	power_init(&acpi);

	err = lapic_init();
	if (err == 0)
		err = tsc_init(&acpi);
	if (err < 0)
		return err;
	lapic_init_timer();
	smp_init(&acpi);
	/* The boot CPU serves the console. Where this fails it is polled, and that is all. */
	if (has_serial && ioapic_route(&acpi, &acpi.serial, VECTOR_SERIAL, lapic_id()) == 0)
		serial_enable_interrupt();
	return 0;
}

static void init_control_registers(void)
{
	uint32_t features = cpuid_ecx(1, 0);
	uint64_t cr4 = CR4_PAE | CR4_MCE | CR4_DE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	/*
	 * The hypervisor is compiled without vector registers. OSFXSR and OSXSAVE are for switching
	 * the guests' and for routines that save what they use (cpu/copy.c).
	 */
	if (features & CPUID_1_ECX_XSAVE)
		cr4 |= CR4_OSXSAVE;
	if (cpuid_eax(0, 0) >= 7) {
		struct cpuid_regs leaf7 = cpuid(7, 0);

		if (leaf7.ebx & CPUID_7_EBX_SMEP)
			cr4 |= CR4_SMEP;
		if (leaf7.ebx & CPUID_7_EBX_SMAP)
			cr4 |= CR4_SMAP;
		if (leaf7.ecx & CPUID_7_ECX_UMIP)
			cr4 |= CR4_UMIP;
	}
	write_cr0(CR0_HOST);
	write_cr4(cr4);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	if (rdmsr(MSR_PAT) != PAT_RESET) { /* FLAGS_MMIO in paging.c counts on it */
		__asm__ volatile("wbinvd" : : : "memory");
		wrmsr(MSR_PAT, PAT_RESET);
		__asm__ volatile("wbinvd" : : : "memory");
		write_cr3(read_cr3());
	}
}

void platform_init_cpu(void)
{
	percpu_load_desc();
	trap_init_cpu();
	init_control_registers();
	machine_check_init_cpu();
	lapic_init_cpu();
	this_cpu()->apic_id = lapic_id();
	this_cpu()->node = srat_node_of_cpu(&srat, lapic_id());
}

uint32_t platform_node(void)
{
	return percpu_ready() ? this_cpu()->node : 0;
}

void platform_set_timer(uint64_t tsc)
{
	lapic_set_timer(tsc);
}

void platform_idle(void)
{
	cpu_irq_wait();
	trap_report();
}

void platform_irq_window(void)
{
	cpu_irq_window();
	trap_report();
}

/* QEMU has the same tables, but says that it is no bare machine. */
bool platform_is_bochs(void)
{
	return acpi.bochs && !(cpuid_ecx(1, 0) & CPUID_1_ECX_HYPERVISOR);
}

static bool rdrand(uint64_t *value)
{
	bool ok;

	__asm__ volatile("rdrand %0; setc %1" : "=r"(*value), "=qm"(ok) : : "cc");
	return ok;
}

uint64_t platform_random(void)
{
	static uint64_t state;
	uint64_t value;

	if (cpuid_ecx(1, 0) & CPUID_1_ECX_RDRAND)
		for (int i = 0; i < RANDOM_TRIES; i++)
			if (rdrand(&value))
				return value;
	/* Stirs the TSC's low bits in each time, and mixes well (the finaliser of splitmix64). */
	value = __atomic_add_fetch(&state, rdtsc() * 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED);
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ value >> 27) * 0x94d049bb133111ebull;
	return value ^ value >> 31;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does one thing that must end this guest and no other; the command line says which. Whatever
 * comes behind it is a Failure.
 */
#include "core/dev/power.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/modes.h"
#include "tests/guest/lib/selectors.h"
#include "tests/guest/lib/test.h"

#define DEVICE_HOLE    0xd8000000ull /* no device is there, and no RAM */
#define LAPIC_PAGE     0xfee00000ull
#define CR0_NW	       (1ull << 29)
#define PORT_KEYBOARD  0x64
#define KEYBOARD_RESET 0xfe
#define PORT_CF9       0xcf9
#define CF9_RESET      0x06

const char test_name[] = "unhandled";

/* No interrupt table: the first exception becomes the third. */
static void triple_fault(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) empty = {0};

	__asm__ volatile("lidt %0; ud2" : : "m"(empty));
}

/* A sleep that nothing can end. */
static void halt_for_ever(void)
{
	__asm__ volatile("cli; hlt");
}

/* An instruction that no driver uses on a device, where there is no device. */
static void exotic_mmio(void)
{
	__asm__ volatile("lock xaddl %0, (%1)" : : "r"(1), "r"(DEVICE_HOLE) : "memory");
}

static void jump_to_nowhere(void)
{
	void (*nowhere)(void) = (void (*)(void))DEVICE_HOLE;

	nowhere();
}

/* Interrupt controllers are no code. */
static void jump_to_device(void)
{
	void (*device)(void) = (void (*)(void))LAPIC_PAGE;

	device();
}

static void stack_nowhere(void)
{
	__asm__ volatile("movq %0, %%rsp; pushq %%rax" : : "r"(DEVICE_HOLE) : "memory");
}

static void page_tables_nowhere(void)
{
	__asm__ volatile("movq %0, %%cr3" : : "r"(DEVICE_HOLE) : "memory");
}

/* Delivering an exception needs a table that is not there. */
static void idt_nowhere(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) nowhere = {0xfff, DEVICE_HOLE};

	__asm__ volatile("lidt %0; ud2" : : "m"(nowhere));
}

static void gdt_nowhere(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) nowhere = {0xfff, DEVICE_HOLE};

	__asm__ volatile("lgdt %0; movl %1, %%ds" : : "m"(nowhere), "r"(SELECTOR_DATA));
}

static void string_move(void)
{
	uint64_t to = DEVICE_HOLE, from = DEVICE_HOLE + 1, count = 0x1000;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

/*
 * NW without CD, which a processor refuses to load; QEMU's SVM does not, but then does not enter
 * the guest with it.
 */
static void bad_cr0(void)
{
	uint64_t cr0;

	__asm__ volatile("movq %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("movq %0, %%cr0; cpuid"
			 :
			 : "r"(cr0 | CR0_NW)
			 : "rax", "rbx", "rcx", "rdx");
}

static void acpi_reset(void)
{
	out8(POWER_PORT_RESET, POWER_RESET_VALUE);
}

static void keyboard_reset(void)
{
	out8(PORT_KEYBOARD, KEYBOARD_RESET);
}

static void chipset_reset(void)
{
	out8(PORT_CF9, CF9_RESET);
}

static const struct {
	const char *word;
	void (*act)(void);
} acts[] = {
	{"triple", triple_fault}, {"hltoff", halt_for_ever},	{"mmio", exotic_mmio},
	{"movs", string_move},	  {"jump", jump_to_nowhere},	{"device", jump_to_device},
	{"stack", stack_nowhere}, {"cr3", page_tables_nowhere}, {"idt", idt_nowhere},
	{"gdt", gdt_nowhere},	  {"task", modes_task_jump},	{"gate", modes_task_gate},
	{"cr0", bad_cr0},	  {"reset", acpi_reset},	{"keyboard", keyboard_reset},
	{"cf9", chipset_reset},
};

void test_main(void)
{
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (!cmdline_has(acts[i].word))
			continue;
		print("unhandled: %s\n", acts[i].word);
		acts[i].act();
		test_failure("still running after %s", acts[i].word);
		return;
	}
	test_error("the command line names no act");
}

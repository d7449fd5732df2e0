/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does one thing that must end this guest and no other; the command line says which. Whatever
 * comes behind it is a Failure.
 */
#include "core/dev/power.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/test.h"

#define DEVICE_HOLE    0xd8000000ull /* no device is there, and no RAM */
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
	{"triple", triple_fault},  {"hltoff", halt_for_ever}, {"mmio", exotic_mmio},
	{"jump", jump_to_nowhere}, {"reset", acpi_reset},     {"keyboard", keyboard_reset},
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

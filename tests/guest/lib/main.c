/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the test, keeps the worst report, switches off.
 */
#include <stdarg.h>
#include "core/dev/power.h"
#include "core/vm/pvh_start_info.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/multiboot.h"
#include "tests/guest/lib/print.h"
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/trap.h"

#define SLEEP_ENABLE	 (1 << 5)
#define SLEEP_TYPE_SHIFT 2
#define E820_RAM	 1
#define HIGH_RAM	 0x100000 /* where the RAM behind the PC's ROM area starts */

/* From good to bad. */
enum verdict { SUCCESS, SKIP, ERROR, FAILURE };

static const char *const verdict_names[] = {
	[SUCCESS] = "Success",
	[SKIP] = "Skip",
	[ERROR] = "Error",
	[FAILURE] = "Failure",
};

void guest_main(const struct pvh_start_info *info);

static enum verdict worst = SUCCESS;
static const struct pvh_start_info *start_info;

static void report(enum verdict verdict, const char *fmt, va_list args)
{
	print("%s: ", verdict_names[verdict]);
	vprint(fmt, args);
	print("\n");
	if (verdict > worst)
		worst = verdict;
}

void test_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(SKIP, fmt, args);
	va_end(args);
}

void test_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(ERROR, fmt, args);
	va_end(args);
}

void test_failure(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(FAILURE, fmt, args);
	va_end(args);
}

void test_finish(void)
{
	irq_disable();
	print("TEST %s: %s\n", test_name, verdict_names[worst]);
	out8(POWER_PORT_SLEEP_CONTROL, POWER_SLEEP_TYPE_S5 << SLEEP_TYPE_SHIFT | SLEEP_ENABLE);
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* The command line's next word, from *text on: its length, 0 at the end. */
static size_t next_word(const char **text)
{
	size_t len = 0;

	while (**text == ' ')
		(*text)++;
	while ((*text)[len] && (*text)[len] != ' ')
		len++;
	return len;
}

static size_t length(const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	return len;
}

static const char *cmdline(void)
{
	return start_info->cmdline_paddr ? (const char *)start_info->cmdline_paddr : "";
}

bool cmdline_has(const char *word)
{
	const char *text = cmdline();
	size_t len;

	for (; (len = next_word(&text)) > 0; text += len) {
		if (len == length(word) && memcmp(text, word, len) == 0)
			return true;
	}
	return false;
}

uint64_t cmdline_number(const char *prefix, uint64_t otherwise)
{
	size_t skip = length(prefix);
	const char *text = cmdline();
	uint64_t number = 0;
	size_t len;

	for (; (len = next_word(&text)) > 0; text += len) {
		if (len <= skip || memcmp(text, prefix, skip) != 0)
			continue;
		for (size_t i = skip; i < len; i++) {
			if (text[i] < '0' || text[i] > '9')
				return otherwise;
			number = number * 10 + (uint64_t)(text[i] - '0');
		}
		return number;
	}
	return otherwise;
}

uint64_t ram_bytes(void)
{
	const struct pvh_memmap_entry *map = (const void *)start_info->memmap_paddr;

	for (uint32_t i = 0; i < start_info->memmap_entries; i++) {
		if (map[i].type == E820_RAM && map[i].addr == HIGH_RAM)
			return map[i].addr + map[i].size;
	}
	test_error("the memory map has no RAM at 1 MiB");
	test_finish();
}

/* xorshift64* */
uint64_t test_random(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1d;
}

void guest_main(const struct pvh_start_info *info)
{
	start_info = info ? info : multiboot_start_info();
	trap_init();
	test_main();
	test_finish();
}

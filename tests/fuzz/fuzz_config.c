/* SPDX-License-Identifier: BSD-2-Clause */
/* config_parse(): the first line of the input is the boot line, each other one a module's. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/config.h"
#include "core/console.h"
#include "tests/fuzz/fuzz.h"

static struct boot_info boot;
static struct config config;
static int sentences;

/* The hypervisor's own is made for a kernel without libc; the host's does the same. */
int format(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(buf, size, fmt, args);
	va_end(args);
	return len;
}

static void report(const char *sentence)
{
	check(strlen(sentence) > 0 && !strchr(sentence, '\n'));
	sentences++;
}

/* Copy a line, cut to what fits, as boot_info_parse() does. Returns what is behind it. */
static const uint8_t *line_take(const uint8_t *at, const uint8_t *end, char *words, bool *cut)
{
	size_t len = 0;

	*cut = false;
	for (; at < end && *at != '\n'; at++) {
		if (len < BOOT_STRING_MAX - 1 && *at)
			words[len++] = (char)*at;
		else
			*cut = true;
	}
	words[len] = 0;
	return at < end ? at + 1 : end;
}

static void guest_check(const struct guest_config *guest)
{
	check(guest->name[0] && memchr(guest->name, 0, sizeof(guest->name)));
	check(guest->kernel && guest->cmdline);
	check(guest->memory >= CONFIG_MEMORY_MIN && guest->memory <= CONFIG_MEMORY_MAX);
	check(guest->memory % BLOCK_SIZE == 0);
	check(guest->vcpus >= 1 && guest->vcpus <= CONFIG_MAX_VCPUS);
	check(guest->weight >= 1 && guest->weight <= CONFIG_WEIGHT_MAX);
	check(guest->cmdline >= guest->kernel->words &&
	      guest->cmdline < guest->kernel->words + sizeof(guest->kernel->words));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	uint32_t i;

	memset(&boot, 0, sizeof(boot));
	data = line_take(data, end, boot.cmdline, &boot.cmdline_cut);
	while (data < end && boot.module_count < BOOT_MAX_MODULES) {
		struct boot_module *module = &boot.modules[boot.module_count++];

		data = line_take(data, end, module->words, &module->cut);
	}

	sentences = 0;
	check(config_parse(&boot, &config, report) == sentences);
	check(config.guest_count <= CONFIG_MAX_GUESTS);
	for (i = 0; i < config.guest_count; i++)
		guest_check(&config.guests[i]);
	return 0;
}

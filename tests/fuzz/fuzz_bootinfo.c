/* SPDX-License-Identifier: BSD-2-Clause */
/* boot_info_parse(): whatever the boot loader left, no byte outside of it is read, and what comes
 * out keeps the bounds that its users rely on. */
#include <string.h>

#include "boot/bootinfo.h"
#include "boot/multiboot2.h"
#include "core/errno.h"
#include "tests/fuzz/fuzz.h"

static struct boot_info info;

static void info_check(void)
{
	uint32_t i;

	check(info.range_count <= BOOT_MAX_RANGES && info.module_count <= BOOT_MAX_MODULES);
	check(info.rsdp_size == 0 || info.rsdp_size == 20 || info.rsdp_size == 36);
	check(memchr(info.cmdline, 0, sizeof(info.cmdline)) != NULL);
	for (i = 0; i < info.module_count; i++)
		check(memchr(info.modules[i].words, 0, sizeof(info.modules[i].words)) != NULL);
	for (i = 0; i < info.range_count; i++)
		check(info.ranges[i].base + (info.ranges[i].size - 1) >= info.ranges[i].base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *mbi = malloc(size ? size : 1);
	const char *why = NULL;
	int ret;

	memcpy(mbi, data, size);
	ret = boot_info_parse(MULTIBOOT2_BOOTLOADER_MAGIC, mbi, size, &info, &why);
	check(ret == 0 || (ret == -EINVAL && why));
	if (ret == 0)
		info_check();
	free(mbi);
	return 0;
}

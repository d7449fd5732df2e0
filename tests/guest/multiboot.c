/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest with a Multiboot 1 header: what it is told when it starts, and the ports for test
 * kernels. The command line says what to expect:
 *
 *   module=N	the initrd, an ELF file of N bytes, is module 0
 *   exit=N	the ports are there; end by writing N to the exit port
 */
#include "core/dev/testdev.h"
#include "core/vm/multiboot1.h"
#include "tests/guest/lib/cpu.h"
#include "tests/guest/lib/multiboot.h"
#include "tests/guest/lib/test.h"

#define ELF_MAGIC 0x464c457fu
#define INFO_FLAGS                                                                                 \
	(MULTIBOOT1_INFO_MEMORY | MULTIBOOT1_INFO_CMDLINE | MULTIBOOT1_INFO_MODULES |              \
	 MULTIBOOT1_INFO_MEMORY_MAP)
#define HIGH_RAM 0x100000
#define NONE	 UINT64_MAX

const char test_name[] = "multiboot";

static void test_modules(const struct multiboot1_info *info)
{
	const struct multiboot1_module *module = (const void *)(uintptr_t)info->mods_addr;
	uint64_t size = cmdline_number("module=", NONE);

	CHECK_EQ(info->mods_count, size == NONE ? 0 : 1, "number of modules");
	if (size == NONE || info->mods_count == 0)
		return;
	CHECK_EQ(module->end - module->start, size, "bytes of module 0");
	CHECK_EQ(*(const uint32_t *)(uintptr_t)module->start, ELF_MAGIC, "start of module 0");
	CHECK_EQ(*(const char *)(uintptr_t)module->string, 0, "words of module 0");
}

static void test_testdev(void)
{
	uint64_t value = cmdline_number("exit=", NONE);

	if (value == NONE) {
		CHECK_EQ(in8(TESTDEV_PORT_DEBUG), 0xff, "debug port, absent");
		out8(TESTDEV_PORT_DEBUG, '?');
		out32(TESTDEV_PORT_EXIT, 1);
		return;
	}
	CHECK_EQ(in8(TESTDEV_PORT_DEBUG), TESTDEV_DEBUG_THERE, "debug port");
	for (const char *text = "written to the debug port\n"; *text; text++)
		out8(TESTDEV_PORT_DEBUG, (uint8_t)*text);
	out32(TESTDEV_PORT_EXIT, (uint32_t)value);
	test_failure("the exit port let the guest go on");
}

void test_main(void)
{
	const struct multiboot1_info *info = (const void *)(uintptr_t)multiboot_info;

	CHECK_EQ(multiboot_magic, MULTIBOOT1_BOOT_MAGIC, "EAX at entry");
	CHECK_EQ(info->flags & INFO_FLAGS, INFO_FLAGS, "flags of the information");
	CHECK_EQ(info->mem_upper * KIB + HIGH_RAM, ram_bytes(), "end of the RAM");
	CHECK(cmdline_has("words"), "the command line's word is not there");
	test_modules(info);
	test_testdev();
}

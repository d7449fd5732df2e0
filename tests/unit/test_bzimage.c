/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bzImage loader: a good image is laid out as Linux's boot protocol asks, a bad field is
 * refused with a reason, and no image, however mangled, reaches outside its file or the guest's
 * RAM.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "core/errno.h"
#include "core/vm/linux_boot.h"
#include "core/vm/loader_common.h"
#include "tests/unit/loader_host.h"

#define KERNEL_BASE (16 * MIB)
#define INIT_SIZE   (3 * MIB)
#define INITRD_SIZE 5000

static struct linux_setup_header *header(void)
{
	return (struct linux_setup_header *)(image_bytes + LINUX_SETUP_HEADER);
}

/* Two setup sectors and 4 KiB of kernel whose bytes tell their place. */
static void build_bzimage(void)
{
	const size_t code = 3 * LINUX_SECTOR, code_size = 4096;

	memset(image_bytes, 0xcc, sizeof(image_bytes));
	image_len = code + code_size;
	for (size_t i = 0; i < code_size; i++)
		image_bytes[code + i] = (uint8_t)(i * 7 + 1);
	memset(header(), 0, sizeof(*header()));
	*header() = (struct linux_setup_header){
		.setup_sects = 2,
		.syssize = (uint32_t)code_size / LINUX_PARAGRAPH,
		.boot_flag = LINUX_BOOT_FLAG,
		.jump = 0xeb,
		.jump_distance = 0x6a,
		.header = LINUX_HEADER_MAGIC,
		.version = 0x020f,
		.loadflags = LINUX_LOADED_HIGH,
		.ramdisk_image = 0x12345678,
		.ramdisk_size = 0x12345678,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = LINUX_XLF_KERNEL_64,
		.cmdline_size = 2047,
		.setup_data = 0x41414141,
		.pref_address = KERNEL_BASE,
		.init_size = INIT_SIZE,
	};
}

/* Walks the tables that the loader wrote, as the processor will. */
static uint64_t translate(uint64_t address)
{
	uint64_t table = entry.state.cr3;

	for (int level = 3; level >= 1; level--) {
		uint64_t pte = guest_read64(table + 8 * (address >> (12 + 9 * level) & 511));

		if (!(pte & 1))
			return UINT64_MAX;
		table = pte & 0x000ffffffffff000ull;
		if (pte & 0x80) {
			assert_int_equal(level, 1);
			return (table & ~(BLOCK_SIZE - 1)) | (address & (BLOCK_SIZE - 1));
		}
	}
	return UINT64_MAX;
}

static void test_bzimage_layout(void **state)
{
	struct linux_boot_params params;
	char text[32];
	uint64_t at;

	(void)state;
	vm_begin(64 * MIB);
	build_bzimage();
	assert_int_equal(load("console=ttyS0", INITRD_SIZE), 0);

	/* Registers: long mode, flat segments, RSI at the zero page. */
	assert_int_equal(entry.state.rip, KERNEL_BASE + 0x200);
	assert_int_equal(entry.state.rflags, 2);
	assert_int_equal(entry.state.cr0 & 0x80000001, 0x80000001);
	assert_int_equal(entry.state.cr4, 0x20);
	assert_int_equal(entry.state.efer, 0x500);
	assert_int_equal(entry.state.seg[SEG_CS].selector, 0x10);
	assert_int_equal(entry.state.seg[SEG_CS].attr, SEGMENT_ATTR_CODE64);
	assert_int_equal(entry.state.seg[SEG_DS].selector, 0x18);
	assert_int_equal(entry.state.seg[SEG_SS].attr, SEGMENT_ATTR_DATA32);
	assert_int_equal(entry.state.seg[SEG_TR].attr, SEGMENT_ATTR_TSS64);
	for (int i = 0; i < GPR_COUNT; i++)
		assert_int_equal(entry.gpr[i], i == RSI ? LOADER_BOOT_PARAMS : 0);
	assert_in_range(entry.state.gdtr.limit, 0x1f, 0xffff);
	assert_true(guest_read64(entry.state.gdtr.base + 0x10) == 0x00af9b000000ffffull);
	assert_true(guest_read64(entry.state.gdtr.base + 0x18) == 0x00cf93000000ffffull);

	/* Identity map up to 4 GiB, no more. */
	for (at = 0x123; at < 4 * GIB; at += 64 * MIB + 0x1001)
		assert_true(translate(at) == at);
	assert_true(translate(4 * GIB - 1) == 4 * GIB - 1);
	assert_true(translate(4 * GIB) == UINT64_MAX);

	/* The kernel, and nothing of the setup part. */
	for (uint64_t i = 0; i < 4096; i += 8)
		assert_true((guest_read64(KERNEL_BASE + i) & 0xff) == (uint8_t)(i * 7 + 1));
	assert_true(guest_read64(KERNEL_BASE + 4096) == 0);

	/* The zero page: the header taken over, our own fields in place of the image's. */
	assert_int_equal(vm_read_guest(&vm, LOADER_BOOT_PARAMS, &params, sizeof(params)), 0);
	assert_int_equal(params.hdr.header, LINUX_HEADER_MAGIC);
	assert_int_equal(params.hdr.init_size, INIT_SIZE);
	assert_int_equal(params.hdr.type_of_loader, 0xff);
	assert_int_equal(params.hdr.code32_start, KERNEL_BASE);
	assert_int_equal(params.hdr.setup_data, 0);
	assert_int_equal(params.acpi_rsdp_addr, HOST_RSDP);
	assert_int_equal(params.hdr.ramdisk_size, INITRD_SIZE);
	assert_true(IS_ALIGNED(params.hdr.ramdisk_image, PAGE_SIZE));
	assert_in_range(params.hdr.ramdisk_image, 64 * MIB - 3 * PAGE_SIZE, 64 * MIB);
	assert_true(guest_read64(params.hdr.ramdisk_image) == HOST_INITRD_WORD);
	assert_int_equal(vm_read_guest(&vm, params.hdr.cmd_line_ptr, text, sizeof(text)), 0);
	assert_string_equal(text, "console=ttyS0");
	assert_int_equal(params.e820_entries, 3);
	assert_int_equal(params.e820_table[2].base, MIB);
	assert_int_equal(params.e820_table[2].size, 63 * MIB);
	vm_end();
}

/* One field at a time: what each refusal says. */
static void test_bzimage_fields(void **state)
{
#define REFUSED(assignment, err, text)                                                             \
	do {                                                                                       \
		build_bzimage();                                                                   \
		assignment;                                                                        \
		assert_refused(err, text);                                                         \
	} while (0)

	(void)state;
	memset(image_bytes, 0, sizeof(image_bytes));
	vm_begin(32 * MIB);
	REFUSED(header()->header = 0, -EINVAL, "neither a bzImage nor");
	REFUSED(header()->boot_flag = 0, -EINVAL, "neither a bzImage nor");
	REFUSED(header()->version = 0x020b, -EINVAL, "2.12");
	REFUSED(header()->xloadflags = 0xfffe, -EINVAL, "no 64-bit entry");
	REFUSED(header()->loadflags = 0, -EINVAL, "no 64-bit entry");
	REFUSED(header()->jump_distance = 0x10, -EINVAL, "setup header");
	REFUSED(header()->jump_distance = 0xff, -EINVAL, "setup header");
	REFUSED(header()->setup_sects = 255, -EINVAL, "shorter than its header");
	REFUSED(header()->setup_sects = 0, -EINVAL, "shorter than its header");
	REFUSED(header()->syssize++, -EINVAL, "shorter than its header");
	REFUSED(header()->syssize = UINT32_MAX, -EINVAL, "shorter than its header");
	REFUSED(header()->syssize = 0, -EINVAL, "entry point");
	REFUSED(header()->syssize = 0x200 / 16, -EINVAL, "entry point");
	REFUSED(header()->init_size = 0, -EINVAL, "init_size");
	REFUSED(header()->init_size = 4095, -EINVAL, "init_size");
	REFUSED(header()->init_size = 16 * MIB + 1, -ENOSPC, "does not fit");
	REFUSED(header()->init_size = UINT32_MAX, -ENOSPC, "does not fit");
	REFUSED(header()->pref_address = 0, -EINVAL, "preferred address");
	REFUSED(header()->pref_address = MIB - PAGE_SIZE, -EINVAL, "preferred address");
	REFUSED(header()->pref_address = KERNEL_BASE + 1, -EINVAL, "preferred address");
	REFUSED(header()->pref_address = 32 * MIB, -ENOSPC, "does not fit");
	REFUSED(header()->pref_address = 4 * GIB, -ENOSPC, "does not fit");
	REFUSED(header()->pref_address = ~0xfffull, -ENOSPC, "does not fit");
	vm_end();
#undef REFUSED
}

static void test_bzimage_limits(void **state)
{
	char cmdline[2049];

	(void)state;
	memset(cmdline, 'c', sizeof(cmdline) - 1);
	cmdline[2048] = '\0';
	vm_begin(20 * MIB);
	build_bzimage();
	assert_int_equal(load(cmdline, 0), -EINVAL);
	assert_non_null(strstr(why, "command line"));
	cmdline[2047] = '\0';
	assert_int_equal(load(cmdline, 0), 0);
	header()->cmdline_size = 10;
	assert_int_equal(load("12345678901", 0), -EINVAL);
	assert_int_equal(load("1234567890", 0), 0);

	/* RAM ends at 20 MiB: 4096 bytes of initrd behind the kernel, but not 4097. */
	build_bzimage();
	header()->init_size = 4 * MIB - PAGE_SIZE;
	assert_int_equal(load("", 4096), 0);
	assert_int_equal(load("", 4097), -ENOSPC);
	assert_non_null(strstr(why, "initrd"));
	header()->init_size = 4 * MIB;
	assert_int_equal(load("", 0), 0);
	assert_int_equal(load("", 1), -ENOSPC);

	/* The kernel's own limit, below, inside and above what RAM offers. */
	build_bzimage();
	header()->initrd_addr_max = KERNEL_BASE + INIT_SIZE - 1;
	assert_int_equal(load("", 1), -ENOSPC);
	header()->initrd_addr_max = KERNEL_BASE + INIT_SIZE;
	assert_int_equal(load("", 2), -ENOSPC);
	assert_int_equal(load("", 1), 0);
	header()->init_size++; /* page-aligned, the initrd would start in the kernel */
	header()->initrd_addr_max += 100;
	assert_int_equal(load("", 1), -ENOSPC);
	header()->initrd_addr_max = 0;
	assert_int_equal(load("", 1), -ENOSPC);
	header()->initrd_addr_max = UINT32_MAX;
	assert_int_equal(load("", 1), 0);
	vm_end();
}

static void test_truncated_everywhere(void **state)
{
	size_t whole;

	(void)state;
	vm_begin(32 * MIB);
	build_bzimage();
	whole = image_len;
	for (image_len = 0; image_len < whole; image_len++)
		assert_int_equal(load("", 0), -EINVAL);
	assert_int_equal(load("", 0), 0);
	vm_end();
}

/* Random changes to the headers, the seed fixed so that a failure repeats. */
static void test_mutations(void **state)
{
	unsigned int accepted = 0, rounds = 20000;

	(void)state;
	srand(1);
	vm_begin(20 * MIB);
	for (unsigned int round = 0; round < rounds; round++) {
		build_bzimage();
		mutate(LINUX_SETUP_HEADER, sizeof(struct linux_setup_header));
		accepted += load_mutated();
	}
	assert_in_range(accepted, 1000, rounds - 1000); /* both ways were walked */
	vm_end();
}

static void test_memory_map(void **state)
{
	struct vm_e820_entry map[8];
	struct vm big = {.memory = 5 * GIB};

	(void)state;
	assert_int_equal(vm_memory_map(&big, map, 8), 4);
	assert_int_equal(map[0].base, 0);
	assert_int_equal(map[0].size, VM_LOW_RAM_END);
	assert_int_equal(map[0].type, 1);
	assert_int_equal(map[1].base, VM_LOW_RAM_END);
	assert_int_equal(map[1].type, 2);
	assert_true(map[1].base + map[1].size >= VM_ACPI_BASE + VM_ACPI_SIZE);
	assert_int_equal(map[2].base, MIB);
	assert_int_equal(map[2].base + map[2].size, VM_HOLE_BASE);
	assert_int_equal(map[3].base, VM_HOLE_END);
	assert_int_equal(map[3].size, 2 * GIB);
	assert_int_equal(vm_memory_map(&big, map, 3), 3);
	big.memory = VM_HOLE_BASE;
	assert_int_equal(vm_memory_map(&big, map, 8), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bzimage_layout), cmocka_unit_test(test_bzimage_fields),
		cmocka_unit_test(test_bzimage_limits), cmocka_unit_test(test_truncated_everywhere),
		cmocka_unit_test(test_mutations),      cmocka_unit_test(test_memory_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

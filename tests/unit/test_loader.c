/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel loaders: a good image is laid out as its boot protocol asks, a bad field is refused
 * with a reason, and no image, however mangled, reaches outside its file or the guest's RAM
 * (AddressSanitizer watches: the file and every block of RAM are heap buffers of their own).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/errno.h"
#include "core/frames.h"
#include "core/panic.h"
#include "core/vm/elf.h"
#include "core/vm/linux_boot.h"
#include "core/vm/loader.h"
#include "core/vm/loader_common.h"
#include "core/vm/pvh_start_info.h"
#include "core/vm/vm.h"

#define RSDP	    0xe0000ull
#define IMAGE_MAX   (64 * KIB)
#define KERNEL_BASE (16 * MIB)
#define INIT_SIZE   (3 * MIB)

static struct vm vm;
static struct guest_config guest_config;
static uint8_t image_bytes[IMAGE_MAX]; /* under construction */
static size_t image_len;
static uint8_t initrd_bytes[5000];
static struct loader_entry entry;
static const char *why;

/* What core/vm/memory.c takes from the hypervisor. */
void *frame_alloc(void)
{
	return calloc(1, PAGE_SIZE);
}

void frame_free(void *frame)
{
	free(frame);
}

void *block_alloc(void)
{
	return calloc(1, BLOCK_SIZE);
}

void block_free(void *block)
{
	free(block);
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	abort();
}

static void vm_begin(uint64_t memory)
{
	memset(&vm, 0, sizeof(vm));
	vm.config = &guest_config;
	assert_int_equal(vm_memory_alloc(&vm, memory), 0);
}

static void vm_end(void)
{
	while (!vm_memory_free_step(&vm))
		continue;
}

/* Loads what is under construction, from buffers that end where it ends. */
static int load(const char *cmdline, size_t initrd_size)
{
	uint8_t *kernel = malloc(image_len ? image_len : 1);
	uint8_t *initrd = malloc(initrd_size ? initrd_size : 1);
	struct loader_image image = {
		.kernel = kernel,
		.kernel_size = image_len,
		.initrd = initrd_size ? initrd : NULL,
		.initrd_size = initrd_size,
		.cmdline = cmdline,
		.rsdp = RSDP,
	};
	int err;

	memcpy(kernel, image_bytes, image_len);
	memcpy(initrd, initrd_bytes, initrd_size);
	why = NULL;
	err = loader_load(&vm, &image, &entry, &why);
	free(kernel);
	free(initrd);
	assert_true((err == 0) == (why == NULL));
	return err;
}

static void assert_refused(int err, const char *text)
{
	assert_int_equal(load("", 0), err);
	if (!strstr(why, text))
		fail_msg("reason \"%s\" does not contain \"%s\"", why, text);
}

static uint64_t guest_read64(gpa_t gpa)
{
	uint64_t value;

	assert_int_equal(vm_read_guest(&vm, gpa, &value, sizeof(value)), 0);
	return value;
}

/* ---- bzImage ---- */

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
	assert_int_equal(load("console=ttyS0", sizeof(initrd_bytes)), 0);

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
	assert_int_equal(params.acpi_rsdp_addr, RSDP);
	assert_int_equal(params.hdr.ramdisk_size, sizeof(initrd_bytes));
	assert_true(IS_ALIGNED(params.hdr.ramdisk_image, PAGE_SIZE));
	assert_in_range(params.hdr.ramdisk_image, 64 * MIB - 3 * PAGE_SIZE, 64 * MIB);
	assert_true(guest_read64(params.hdr.ramdisk_image) == 0x5a5a5a5a5a5a5a5aull);
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

/* ---- ELF with a PVH note ---- */

#define PVH_BASE  MIB
#define PVH_ENTRY (PVH_BASE + 0x10)

struct note_pvh64 {
	struct elf_note note;
	char name[4];
	uint64_t entry;
};

/* A 64-bit file: one segment with 100 bytes of content in 10000 of memory, one note. */
static struct elf64_phdr *build_pvh64(void)
{
	struct elf64_header head = {
		.ident = {.magic = ELF_MAGIC, .class = ELF_CLASS_64, .data = ELF_DATA_LSB},
		.type = ELF_TYPE_EXEC,
		.machine = ELF_MACH_AMD64,
		.phoff = 64,
		.phentsize = sizeof(struct elf64_phdr),
		.phnum = 2,
	};
	struct elf64_phdr phdr[2] = {
		{.type = ELF_PT_LOAD,
		 .offset = 0x200,
		 .paddr = PVH_BASE,
		 .filesz = 100,
		 .memsz = 10000},
		{.type = ELF_PT_NOTE, .offset = 0x300, .filesz = sizeof(struct note_pvh64)},
	};
	struct note_pvh64 note = {{4, 8, PVH_NOTE_PHYS32_ENTRY}, PVH_NOTE_NAME, PVH_ENTRY};

	memset(image_bytes, 0x77, sizeof(image_bytes));
	memcpy(image_bytes, &head, sizeof(head));
	memcpy(image_bytes + 64, phdr, sizeof(phdr));
	memcpy(image_bytes + 0x300, &note, sizeof(note));
	image_len = 0x300 + sizeof(note);
	return (struct elf64_phdr *)(image_bytes + 64);
}

static struct elf64_header *elf64(void)
{
	return (struct elf64_header *)image_bytes;
}

static struct note_pvh64 *pvh_note(void)
{
	return (struct note_pvh64 *)(image_bytes + 0x300);
}

/* The same in the 32-bit format, another note in front of the right one. */
static void build_pvh32(void)
{
	struct elf32_header head = {
		.ident = {.magic = ELF_MAGIC, .class = ELF_CLASS_32, .data = ELF_DATA_LSB},
		.type = ELF_TYPE_EXEC,
		.machine = ELF_MACH_386,
		.phoff = 52,
		.phentsize = sizeof(struct elf32_phdr),
		.phnum = 2,
	};
	struct elf32_phdr phdr[2] = {
		{.type = ELF_PT_NOTE, .offset = 0x100, .filesz = 24 + 20},
		{.type = ELF_PT_LOAD,
		 .offset = 0x200,
		 .paddr = PVH_BASE,
		 .filesz = 100,
		 .memsz = 100},
	};
	uint32_t notes[11] = {5, 5, PVH_NOTE_PHYS32_ENTRY, 0x6c6c6548, 0,	 0x1, /* "Hell" */
			      4, 4, PVH_NOTE_PHYS32_ENTRY, 0x006e6558, PVH_ENTRY};

	notes[1] = 1; /* one byte, padded to four */
	memset(image_bytes, 0x77, sizeof(image_bytes));
	memcpy(image_bytes, &head, sizeof(head));
	memcpy(image_bytes + 52, phdr, sizeof(phdr));
	memcpy(image_bytes + 0x100, notes, sizeof(notes));
	image_len = 0x200 + 100;
}

static void assert_pvh_loaded(void)
{
	struct pvh_start_info info;
	char text[16];

	assert_int_equal(entry.state.rip, PVH_ENTRY);
	assert_int_equal(entry.state.cr0 & ~BIT(4), 1);
	assert_int_equal(entry.state.cr4, 0);
	assert_int_equal(entry.state.efer, 0);
	assert_int_equal(entry.state.rflags, 2);
	assert_int_equal(entry.state.seg[SEG_CS].attr, SEGMENT_ATTR_CODE32);
	assert_int_equal(entry.state.seg[SEG_CS].limit, UINT32_MAX);
	assert_int_equal(entry.state.seg[SEG_ES].attr, SEGMENT_ATTR_DATA32);
	assert_true(guest_read64(PVH_BASE) == 0x7777777777777777ull);

	assert_int_equal(vm_read_guest(&vm, entry.gpr[RBX], &info, sizeof(info)), 0);
	assert_int_equal(info.magic, 0x336ec578);
	assert_int_equal(info.version, 1);
	assert_int_equal(info.rsdp_paddr, RSDP);
	assert_int_equal(vm_read_guest(&vm, info.cmdline_paddr, text, sizeof(text)), 0);
	assert_string_equal(text, "words for it");
	assert_int_equal(info.memmap_entries, 3);
	assert_int_equal(guest_read64(info.memmap_paddr + 2 * sizeof(struct pvh_memmap_entry)),
			 MIB);
}

static void test_pvh_layout(void **state)
{
	struct pvh_start_info info;
	struct pvh_module module;

	(void)state;
	vm_begin(4 * MIB);
	/* The memory behind a segment's content is cleared, whatever was there. */
	memset(vm_gpa_to_host(&vm, PVH_BASE), 0xff, 16384);
	build_pvh64();
	assert_int_equal(load("words for it", 0), 0);
	assert_pvh_loaded();
	assert_true(guest_read64(PVH_BASE + 96) == 0x77777777);
	assert_true(guest_read64(PVH_BASE + 10000 - 8) == 0);
	assert_true(guest_read64(PVH_BASE + 10000) == UINT64_MAX);
	assert_int_equal(vm_read_guest(&vm, entry.gpr[RBX], &info, sizeof(info)), 0);
	assert_int_equal(info.nr_modules, 0);

	build_pvh32();
	assert_int_equal(load("words for it", sizeof(initrd_bytes)), 0);
	assert_pvh_loaded();
	assert_int_equal(vm_read_guest(&vm, entry.gpr[RBX], &info, sizeof(info)), 0);
	assert_int_equal(info.nr_modules, 1);
	assert_int_equal(vm_read_guest(&vm, info.modlist_paddr, &module, sizeof(module)), 0);
	assert_int_equal(module.size, sizeof(initrd_bytes));
	assert_true(guest_read64(module.paddr) == 0x5a5a5a5a5a5a5a5aull);
	vm_end();
}

static void test_pvh_fields(void **state)
{
#define REFUSED(assignment, err, text)                                                             \
	do {                                                                                       \
		struct elf64_phdr *phdr = build_pvh64();                                           \
		(void)phdr;                                                                        \
		assignment;                                                                        \
		assert_refused(err, text);                                                         \
	} while (0)

	(void)state;
	vm_begin(4 * MIB);
	REFUSED(elf64()->ident.magic++, -EINVAL, "neither a bzImage nor");
	REFUSED(elf64()->ident.class = 3, -EINVAL, "little-endian");
	REFUSED(elf64()->ident.data = 2, -EINVAL, "little-endian");
	REFUSED(elf64()->type = 3, -EINVAL, "no executable");
	REFUSED(elf64()->machine = 183, -EINVAL, "no executable");
	REFUSED(elf64()->phentsize = 0, -EINVAL, "table of segments");
	REFUSED(elf64()->phnum = 65, -EINVAL, "table of segments");
	REFUSED(elf64()->phnum = 64, -EINVAL, "table of segments");
	REFUSED(elf64()->phoff = UINT64_MAX, -EINVAL, "table of segments");
	REFUSED(elf64()->phoff = image_len - 111, -EINVAL, "table of segments");
	REFUSED(elf64()->phnum = 1, -EINVAL, "no PVH note");
	REFUSED(elf64()->phnum = 0, -EINVAL, "no PVH note");
	REFUSED(phdr[0].offset = image_len - 99, -EINVAL, "outside the file");
	REFUSED(phdr[0].offset = UINT64_MAX, -EINVAL, "outside the file");
	REFUSED(phdr[0].filesz = UINT64_MAX, -EINVAL, "outside the file");
	REFUSED(phdr[0].memsz = 99, -EINVAL, "longer than its memory");
	REFUSED(phdr[0].memsz = 3 * MIB + 1, -ENOSPC, "does not fit");
	REFUSED(phdr[0].memsz = UINT64_MAX, -ENOSPC, "does not fit");
	REFUSED(phdr[0].paddr = 0, -EINVAL, "below 1 MiB");
	REFUSED(phdr[0].paddr = MIB - 1, -EINVAL, "below 1 MiB");
	REFUSED(phdr[0].paddr = 4 * MIB, -ENOSPC, "does not fit");
	REFUSED(phdr[0].paddr = UINT64_MAX - 50, -ENOSPC, "does not fit");
	REFUSED(phdr[0].paddr = 2 * MIB, -EINVAL, "in no segment");
	REFUSED(phdr[1].filesz--, -EINVAL, "no PVH note");
	REFUSED(phdr[1].filesz++, -EINVAL, "outside the file");
	REFUSED(pvh_note()->note.type = 17, -EINVAL, "no PVH note");
	REFUSED(pvh_note()->note.namesz = UINT32_MAX, -EINVAL, "no PVH note");
	REFUSED(pvh_note()->note.descsz = UINT32_MAX, -EINVAL, "no PVH note");
	REFUSED(pvh_note()->note.descsz = 2, -EINVAL, "no PVH note");
	REFUSED(pvh_note()->name[0] = 'x', -EINVAL, "no PVH note");
	REFUSED(pvh_note()->entry = PVH_BASE + 10000, -EINVAL, "in no segment");
	REFUSED(pvh_note()->entry = BIT(32) + PVH_ENTRY, -EINVAL, "in no segment");
	vm_end();
#undef REFUSED
}

/* ---- both ---- */

static void test_truncated_everywhere(void **state)
{
	static void (*const builders[])(void) = {build_bzimage, build_pvh32};
	size_t whole;

	(void)state;
	vm_begin(32 * MIB);
	for (size_t b = 0; b < ARRAY_SIZE(builders); b++) {
		builders[b]();
		whole = image_len;
		for (image_len = 0; image_len < whole; image_len++)
			assert_int_equal(load("", 0), -EINVAL);
		assert_int_equal(load("", 0), 0);
	}
	build_pvh64();
	for (whole = image_len, image_len = 0; image_len < whole; image_len++)
		assert_int_equal(load("", 0), -EINVAL);
	vm_end();
}

/* Random changes to the headers, the seed fixed so that a failure repeats. */
static void test_mutations(void **state)
{
	static const uint32_t values[] = {0, 1, 0x7fffffff, 0x80000000, 0xfffff000, 0xffffffff};
	unsigned int accepted = 0, rounds = 30000;

	(void)state;
	srand(1);
	vm_begin(20 * MIB);
	for (unsigned int round = 0; round < rounds; round++) {
		size_t first, span;
		int err;

		switch (round % 3) {
		case 0:
			build_bzimage();
			first = LINUX_SETUP_HEADER;
			span = sizeof(struct linux_setup_header);
			break;
		case 1:
			build_pvh32();
			first = 0;
			span = 0x100 + 44;
			break;
		default:
			build_pvh64();
			first = 0;
			span = image_len;
		}
		for (int n = rand() % 3; n >= 0; n--) {
			size_t at = first + (size_t)rand() % span;

			if (rand() % 2)
				image_bytes[at] = (uint8_t)rand();
			else
				memcpy(image_bytes + at, &values[rand() % 6], 4);
		}
		err = load("words", 4096);
		assert_true(err == 0 || err == -EINVAL || err == -ENOSPC);
		if (err == 0) {
			assert_in_range(entry.state.rip, MIB, 20 * MIB);
			accepted++;
		}
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
		cmocka_unit_test(test_bzimage_limits), cmocka_unit_test(test_pvh_layout),
		cmocka_unit_test(test_pvh_fields),     cmocka_unit_test(test_truncated_everywhere),
		cmocka_unit_test(test_mutations),      cmocka_unit_test(test_memory_map),
	};

	memset(initrd_bytes, 0x5a, sizeof(initrd_bytes));
	return cmocka_run_group_tests(tests, NULL, NULL);
}

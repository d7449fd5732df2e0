/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Multiboot 1 loader: ELF files of both classes and plain files with address fields are laid
 * out as the specification asks, a bad field is refused with a reason, and no file, however
 * mangled, reaches outside itself or the guest's RAM.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "core/errno.h"
#include "core/vm/elf.h"
#include "core/vm/multiboot1.h"
#include "tests/unit/loader_host.h"

#define INITRD_SIZE 5000

#define FILL	    0x77 /* what files are full of */
#define BASE	    0x100000u
#define VIRTUAL	    0xc0000000u /* where the kernel means to map its first byte */
#define ENTRY	    (BASE + 0x20)
#define CONTENT	    0x200u /* where it starts in the file */
#define FILE_SIZE   100u
#define MEMORY_SIZE 10000u

static struct multiboot1_header *put_header(size_t at, uint32_t flags)
{
	struct multiboot1_header *header = (struct multiboot1_header *)(image_bytes + at);

	header->magic = MULTIBOOT1_HEADER_MAGIC;
	header->flags = flags;
	header->checksum = -(MULTIBOOT1_HEADER_MAGIC + flags);
	return header;
}

/* A 64-bit file whose only segment starts with the header. */
static struct elf64_phdr *build64(void)
{
	struct elf64_header head = {
		.ident = {.magic = ELF_MAGIC, .class = ELF_CLASS_64, .data = ELF_DATA_LSB},
		.type = ELF_TYPE_EXEC,
		.machine = ELF_MACH_AMD64,
		.entry = VIRTUAL + (ENTRY - BASE),
		.phoff = 64,
		.phentsize = sizeof(struct elf64_phdr),
		.phnum = 1,
	};
	struct elf64_phdr phdr = {.type = ELF_PT_LOAD,
				  .offset = CONTENT,
				  .vaddr = VIRTUAL,
				  .paddr = BASE,
				  .filesz = FILE_SIZE,
				  .memsz = MEMORY_SIZE};

	memset(image_bytes, FILL, sizeof(image_bytes));
	memcpy(image_bytes, &head, sizeof(head));
	memcpy(image_bytes + 64, &phdr, sizeof(phdr));
	put_header(CONTENT, MULTIBOOT1_PAGE_ALIGN | MULTIBOOT1_MEMORY_INFO);
	image_len = CONTENT + FILE_SIZE;
	return (struct elf64_phdr *)(image_bytes + 64);
}

static struct elf64_header *elf64(void)
{
	return (struct elf64_header *)image_bytes;
}

/* The same in the 32-bit format. */
static void build32(void)
{
	struct elf32_header head = {
		.ident = {.magic = ELF_MAGIC, .class = ELF_CLASS_32, .data = ELF_DATA_LSB},
		.type = ELF_TYPE_EXEC,
		.machine = ELF_MACH_386,
		.entry = VIRTUAL + (ENTRY - BASE),
		.phoff = 52,
		.phentsize = sizeof(struct elf32_phdr),
		.phnum = 1,
	};
	struct elf32_phdr phdr = {.type = ELF_PT_LOAD,
				  .offset = CONTENT,
				  .vaddr = VIRTUAL,
				  .paddr = BASE,
				  .filesz = FILE_SIZE,
				  .memsz = MEMORY_SIZE};

	memset(image_bytes, FILL, sizeof(image_bytes));
	memcpy(image_bytes, &head, sizeof(head));
	memcpy(image_bytes + 52, &phdr, sizeof(phdr));
	put_header(CONTENT, 0);
	image_len = CONTENT + FILE_SIZE;
}

/* No ELF file: the header's own fields say where the same bytes go. */
static struct multiboot1_header *build_plain(void)
{
	struct multiboot1_header *header;

	memset(image_bytes, FILL, sizeof(image_bytes));
	header = put_header(CONTENT + 0x10, MULTIBOOT1_ADDRESSES);
	header->header_addr = BASE + 0x10;
	header->load_addr = BASE;
	header->load_end_addr = BASE + FILE_SIZE;
	header->bss_end_addr = BASE + MEMORY_SIZE;
	header->entry_addr = ENTRY;
	image_len = CONTENT + FILE_SIZE;
	return header;
}

static struct multiboot1_info read_info(void)
{
	struct multiboot1_info info;

	assert_int_equal(vm_read_guest(&vm, entry.gpr[RBX], &info, sizeof(info)), 0);
	return info;
}

/* The kernel lies where it wants to be, memory behind it is clear, and it finds what it is told. */
static void assert_loaded(void)
{
	struct multiboot1_info info = read_info();
	struct multiboot1_mmap_entry map;
	char text[16];

	assert_int_equal(entry.state.rip, ENTRY);
	assert_int_equal(entry.state.cr0 & ~BIT(4), 1);
	assert_int_equal(entry.state.efer, 0);
	assert_int_equal(entry.state.rflags, 2);
	assert_int_equal(entry.state.seg[SEG_CS].attr, SEGMENT_ATTR_CODE32);
	assert_int_equal(entry.state.seg[SEG_CS].limit, UINT32_MAX);
	assert_int_equal(entry.state.seg[SEG_DS].attr, SEGMENT_ATTR_DATA32);
	assert_int_equal(entry.gpr[RAX], 0x2badb002);
	assert_true(guest_read64(BASE + 0x38) == 0x7777777777777777ull);
	assert_true(guest_read64(BASE + FILE_SIZE - 4) == 0x77777777);
	assert_true(guest_read64(BASE + MEMORY_SIZE - 8) == 0);
	assert_true(guest_read64(BASE + MEMORY_SIZE) == UINT64_MAX);

	assert_int_equal(info.flags, 0x24d);
	assert_int_equal(info.mem_lower, 639);
	assert_int_equal(info.mem_upper, 3 * 1024);
	assert_int_equal(vm_read_guest(&vm, info.cmdline, text, sizeof(text)), 0);
	assert_string_equal(text, "words for it");
	assert_int_equal(info.mmap_length, 3 * sizeof(map));
	assert_int_equal(vm_read_guest(&vm, info.mmap_addr + 2 * sizeof(map), &map, sizeof(map)),
			 0);
	assert_int_equal(map.size, 20);
	assert_int_equal(map.base, MIB);
	assert_int_equal(map.length, 3 * MIB);
	assert_int_equal(map.type, 1);
	assert_int_equal(vm_read_guest(&vm, info.boot_loader_name, text, sizeof(text)), 0);
	assert_string_equal(text, "Tidepool");
}

static void test_layout(void **state)
{
	struct multiboot1_info info;
	struct multiboot1_module module;
	uint8_t byte;

	(void)state;
	for (unsigned int kind = 0; kind < 3; kind++) {
		vm_begin(4 * MIB);
		/* The memory behind the content is cleared, whatever was there. */
		memset(vm_gpa_to_host(&vm, BASE), 0xff, 16384);
		if (kind == 0)
			build64();
		else if (kind == 1)
			build32();
		else
			build_plain();
		assert_int_equal(load("words for it", 0), 0);
		assert_loaded();
		assert_int_equal(read_info().mods_count, 0);

		assert_int_equal(load("words for it", INITRD_SIZE), 0);
		info = read_info();
		assert_int_equal(info.mods_count, 1);
		assert_int_equal(vm_read_guest(&vm, info.mods_addr, &module, sizeof(module)), 0);
		assert_int_equal(module.end - module.start, INITRD_SIZE);
		assert_int_equal(module.start % PAGE_SIZE, 0);
		assert_true(guest_read64(module.start) == HOST_INITRD_WORD);
		assert_int_equal(vm_read_guest(&vm, module.string, &byte, 1), 0);
		assert_int_equal(byte, 0);
		vm_end();
	}
}

/* The address fields that may be left out. */
static void test_plain_defaults(void **state)
{
	struct multiboot1_header *header;

	(void)state;
	vm_begin(4 * MIB);
	memset(vm_gpa_to_host(&vm, BASE), 0xff, 16384);
	header = build_plain();
	header->load_end_addr = 0; /* the end of the file, which is the same */
	assert_int_equal(load("words for it", 0), 0);
	assert_loaded();

	memset(vm_gpa_to_host(&vm, BASE), 0xff, 16384);
	header = build_plain();
	header->bss_end_addr = 0;
	assert_int_equal(load("words for it", 0), 0);
	assert_true(guest_read64(BASE + FILE_SIZE) == UINT64_MAX);
	vm_end();
}

static void test_search(void **state)
{
	(void)state;
	vm_begin(4 * MIB);
	build64();
	memset(image_bytes + CONTENT, FILL, 12);
	assert_refused(-EINVAL, "Multiboot 1 header");
	image_len = 8192;
	put_header(8192 - 12, 0); /* the last place where it may be */
	assert_int_equal(load("", 0), 0);
	memset(image_bytes + 8192 - 12, FILL, 12);
	put_header(CONTENT, 0);
	memmove(image_bytes + CONTENT + 2, image_bytes + CONTENT, 12); /* not aligned */
	image_bytes[CONTENT] = 0;
	assert_refused(-EINVAL, "nor has a Multiboot 1 header");
	build64();
	memset(image_bytes + CONTENT, FILL, 12);
	image_len = 8204;
	put_header(8192, 0);
	assert_refused(-EINVAL, "nor has a Multiboot 1 header");
	vm_end();
}

static void test_elf_fields(void **state)
{
#define REFUSED(assignment, err, text)                                                             \
	do {                                                                                       \
		struct elf64_phdr *phdr = build64();                                               \
		(void)phdr;                                                                        \
		assignment;                                                                        \
		assert_refused(err, text);                                                         \
	} while (0)

	(void)state;
	vm_begin(4 * MIB);
	REFUSED(image_bytes[CONTENT]++, -EINVAL, "nor has a Multiboot 1 header");
	REFUSED(image_bytes[CONTENT + 8]++, -EINVAL, "nor has a Multiboot 1 header");
	REFUSED(put_header(CONTENT, 4), -EINVAL, "a video mode");
	REFUSED(put_header(CONTENT, 0x8000), -EINVAL, "requires what is not offered");
	REFUSED(elf64()->ident.magic++, -EINVAL, "no ELF file, and no address fields");
	REFUSED(phdr->offset = image_len - FILE_SIZE + 1, -EINVAL, "outside the file");
	REFUSED(phdr->offset = UINT64_MAX, -EINVAL, "outside the file");
	REFUSED(phdr->memsz = FILE_SIZE - 1, -EINVAL, "longer than its memory");
	REFUSED(phdr->memsz = 3 * MIB + 1, -ENOSPC, "does not fit");
	REFUSED(phdr->paddr = MIB - 1, -EINVAL, "below 1 MiB");
	REFUSED(phdr->paddr = UINT64_MAX - 50, -ENOSPC, "does not fit");
	REFUSED(elf64()->entry = VIRTUAL + MEMORY_SIZE, -EINVAL, "in no segment");
	REFUSED(elf64()->entry = VIRTUAL - 1, -EINVAL, "in no segment");
	REFUSED(elf64()->phnum = 0, -EINVAL, "in no segment");

	/* Flags beyond the requirements are for the kernel's own use. */
	build64();
	put_header(CONTENT, 0x80000003);
	assert_int_equal(load("", 0), 0);
	/* An entry that is physical already is taken as it is. */
	build64();
	elf64()->entry = ENTRY;
	assert_int_equal(load("", 0), 0);
	assert_int_equal(entry.state.rip, ENTRY);
	vm_end();
#undef REFUSED
}

static void test_address_fields(void **state)
{
#define REFUSED(assignment, err, text)                                                             \
	do {                                                                                       \
		struct multiboot1_header *header = build_plain();                                  \
		assignment;                                                                        \
		assert_refused(err, text);                                                         \
	} while (0)

	(void)state;
	vm_begin(4 * MIB);
	REFUSED(header->header_addr = BASE - 1, -EINVAL, "load_addr");
	REFUSED(header->header_addr = BASE + CONTENT + 0x11, -EINVAL, "load_addr");
	REFUSED(header->load_addr = 0, -EINVAL, "load_addr");
	REFUSED(header->load_end_addr = BASE + FILE_SIZE + 1, -EINVAL, "load_end_addr");
	REFUSED(header->load_end_addr = BASE - 1, -EINVAL, "load_end_addr");
	REFUSED(header->load_end_addr = UINT32_MAX, -EINVAL, "load_end_addr");
	REFUSED(header->bss_end_addr = BASE + FILE_SIZE - 1, -EINVAL, "bss_end_addr");
	REFUSED(header->bss_end_addr = 1, -EINVAL, "bss_end_addr");
	REFUSED(header->bss_end_addr = 4 * MIB + 1, -ENOSPC, "does not fit");
	REFUSED(header->bss_end_addr = UINT32_MAX, -ENOSPC, "does not fit");
	REFUSED(header->entry_addr = BASE - 1, -EINVAL, "entry_addr");
	REFUSED(header->entry_addr = BASE + MEMORY_SIZE, -EINVAL, "entry_addr");
	REFUSED((header->load_addr -= 0x80000, header->header_addr -= 0x80000,
		 header->load_end_addr = 0),
		-EINVAL, "below 1 MiB");
	REFUSED((header->load_addr = 0xf0000000, header->header_addr = 0xf0000010,
		 header->load_end_addr = 0, header->bss_end_addr = 0),
		-ENOSPC, "does not fit");
	vm_end();
#undef REFUSED
}

static void test_truncated_everywhere(void **state)
{
	size_t whole;

	(void)state;
	vm_begin(32 * MIB);
	for (unsigned int kind = 0; kind < 3; kind++) {
		if (kind == 0)
			build64();
		else if (kind == 1)
			build32();
		else
			build_plain();
		for (whole = image_len, image_len = 0; image_len < whole; image_len++)
			assert_int_equal(load("", 0), -EINVAL);
		assert_int_equal(load("", 0), 0);
	}
	vm_end();
}

/* Random changes to the headers, the seed fixed so that a failure repeats. */
static void test_mutations(void **state)
{
	unsigned int accepted = 0, rounds = 30000;

	(void)state;
	srand(1);
	vm_begin(20 * MIB);
	for (unsigned int round = 0; round < rounds; round++) {
		if (round % 3 == 0) {
			build_plain();
			/* behind the words that the header is found by */
			mutate(CONTENT + 0x10 + 12, 20);
		} else if (round % 3 == 1) {
			build32();
			mutate(0, 52 + sizeof(struct elf32_phdr));
		} else {
			build64();
			mutate(0, image_len);
		}
		accepted += load_mutated();
	}
	assert_in_range(accepted, 1000, rounds - 1000); /* both ways were walked */
	vm_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),	       cmocka_unit_test(test_plain_defaults),
		cmocka_unit_test(test_search),	       cmocka_unit_test(test_elf_fields),
		cmocka_unit_test(test_address_fields), cmocka_unit_test(test_truncated_everywhere),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PVH loader: ELF files of both classes are laid out as the PVH boot protocol asks, a bad field
 * is refused with a reason, and no file, however mangled, reaches outside itself or the guest's
 * RAM.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "core/errno.h"
#include "core/vm/elf.h"
#include "core/vm/pvh_start_info.h"
#include "tests/unit/loader_host.h"

#define INITRD_SIZE 5000

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
	assert_int_equal(info.rsdp_paddr, HOST_RSDP);
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
	assert_int_equal(load("words for it", INITRD_SIZE), 0);
	assert_pvh_loaded();
	assert_int_equal(vm_read_guest(&vm, entry.gpr[RBX], &info, sizeof(info)), 0);
	assert_int_equal(info.nr_modules, 1);
	assert_int_equal(vm_read_guest(&vm, info.modlist_paddr, &module, sizeof(module)), 0);
	assert_int_equal(module.size, INITRD_SIZE);
	assert_true(guest_read64(module.paddr) == HOST_INITRD_WORD);
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
	REFUSED((elf64()->phnum = 65, image_len = 8192), -EINVAL, "table of segments");
	REFUSED(elf64()->phnum = 64, -EINVAL, "table of segments");
	REFUSED(elf64()->phoff = UINT64_MAX, -EINVAL, "table of segments");
	REFUSED(elf64()->phoff = image_len - 111, -EINVAL, "table of segments");
	REFUSED(elf64()->phnum = 1, -EINVAL, "nor an ELF file with a PVH note");
	REFUSED(elf64()->phnum = 0, -EINVAL, "nor an ELF file with a PVH note");
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
	REFUSED(phdr[1].filesz--, -EINVAL, "nor an ELF file with a PVH note");
	REFUSED(phdr[1].filesz++, -EINVAL, "nor an ELF file with a PVH note");
	REFUSED(pvh_note()->note.type = 17, -EINVAL, "nor an ELF file with a PVH note");
	REFUSED(pvh_note()->note.namesz = UINT32_MAX, -EINVAL, "nor an ELF file with a PVH note");
	REFUSED(pvh_note()->note.descsz = UINT32_MAX, -EINVAL, "nor an ELF file with a PVH note");
	REFUSED(pvh_note()->note.descsz = 2, -EINVAL, "nor an ELF file with a PVH note");
	REFUSED(pvh_note()->name[0] = 'x', -EINVAL, "nor an ELF file with a PVH note");
	REFUSED(pvh_note()->entry = PVH_BASE + 10000, -EINVAL, "in no segment");
	REFUSED(pvh_note()->entry = BIT(32) + PVH_ENTRY, -EINVAL, "in no segment");
	vm_end();
#undef REFUSED
}

static void test_truncated_everywhere(void **state)
{
	size_t whole;

	(void)state;
	vm_begin(32 * MIB);
	build_pvh32();
	whole = image_len;
	for (image_len = 0; image_len < whole; image_len++)
		assert_int_equal(load("", 0), -EINVAL);
	assert_int_equal(load("", 0), 0);
	build_pvh64();
	for (whole = image_len, image_len = 0; image_len < whole; image_len++)
		assert_int_equal(load("", 0), -EINVAL);
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
		if (round % 2) {
			build_pvh32();
			mutate(0, 0x100 + 44);
		} else {
			build_pvh64();
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
		cmocka_unit_test(test_pvh_layout),
		cmocka_unit_test(test_pvh_fields),
		cmocka_unit_test(test_truncated_everywhere),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
